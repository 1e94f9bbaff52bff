package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// TestDictionaryForgets keeps what is used, and what was used since the last
// generation was full.
func TestDictionaryForgets(t *testing.T) {
	var d dictionary
	nth := func(n int) (k key) {
		binary.BigEndian.PutUint64(k[:], uint64(n))
		return k
	}
	fill := func(from int) {
		for n := range cacheSize {
			d.put(nth(from+n), entry{id: int32(from + n)})
		}
		d.age()
	}
	known := func(n int) bool {
		e, ok := d.get(nth(n))
		if ok && e.id != int32(n) {
			t.Fatalf("the entry of %d has the ID %d", n, e.id)
		}
		return ok
	}
	fill(0)
	if !known(7) {
		t.Error("what fits is forgotten")
	}
	fill(cacheSize)
	if known(8) {
		t.Error("what was not used is still known after two generations")
	}
	if !known(7) || !known(cacheSize) {
		t.Error("what was used is forgotten")
	}
}

// TestKeysOf tells apart what differs, also where one value ends and the next
// begins, and takes as one what is stored as one.
func TestKeysOf(t *testing.T) {
	e := plain(1, testNow)
	e.Actor, e.ActorKind, e.Cluster, e.Namespace = "ab", "c", "\xff", "d"
	changed := func(change func(e *audit.Event)) [dictionaries]bool {
		other := e
		change(&other)
		var differ [dictionaries]bool
		for i, k := range keysOf(&other) {
			differ[i] = k != keysOf(&e)[i]
		}
		return differ
	}
	for name, test := range map[string]struct {
		change func(e *audit.Event)
		want   [dictionaries]bool
	}{
		"ID":             {func(e *audit.Event) { e.ID[0]++ }, [dictionaries]bool{}},
		"the same text":  {func(e *audit.Event) { e.Cluster = store.Text(e.Cluster) }, [dictionaries]bool{}},
		"border":         {func(e *audit.Event) { e.Actor, e.ActorKind = "a", "bc" }, [dictionaries]bool{actors: true}},
		"status":         {func(e *audit.Event) { e.StatusCode++ }, [dictionaries]bool{kinds: true}},
		"dry run":        {func(e *audit.Event) { e.DryRun = audit.DryRunTrue }, [dictionaries]bool{kinds: true}},
		"groups":         {func(e *audit.Event) { e.Groups = []string{"a", "b"} }, [dictionaries]bool{actors: true}},
		"namespace":      {func(e *audit.Event) { e.Namespace = "" }, [dictionaries]bool{places: true}},
		"credential":     {func(e *audit.Event) { e.CredentialID = "x" }, [dictionaries]bool{agents: true}},
		"source and all": {func(e *audit.Event) { e.Source, e.ActedVia, e.Verb = "x", "x", "x" }, [dictionaries]bool{kinds: true, actors: true, agents: true}},
	} {
		if got := changed(test.change); got != test.want {
			t.Errorf("%s changes the keys of the dictionaries %v, want %v", name, got, test.want)
		}
	}
}

// TestKeysOfGroups tells lists apart, whichever one a group is in.
func TestKeysOfGroups(t *testing.T) {
	seen := map[key][2][]string{}
	for _, lists := range [][2][]string{
		{}, {{"a"}, nil}, {nil, {"a"}}, {{"a", "b"}, nil}, {{"b", "a"}, nil}, {{"ab"}, nil}, {{"a"}, {"b"}}, {{""}, nil}, {{"", ""}, nil}, {nil, {""}},
	} {
		e := plain(1, testNow)
		e.Groups, e.ActedViaGroups = lists[0], lists[1]
		k := keysOf(&e)[actors]
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", lists, other)
		}
		seen[k] = lists
	}
}

// TestKeysStay has the keys that are in databases: with others, everything
// would be added to the dictionaries once more.
func TestKeysStay(t *testing.T) {
	e := plain(1, testNow)
	var got []string
	for _, k := range keysOf(&e) {
		got = append(got, hex.EncodeToString(k[:]))
	}
	want := []string{
		"d69038aac7303fd41f4b5c794fb0fb19", "b6ab7fcacd6276411fee464ecf63ffbe",
		"8e5e99101ca03709a323256f47e38555", "565b891cc97c8a3299b52c90e016417c",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
}
