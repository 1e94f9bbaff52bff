package store_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// What is within the bounds is kept as it is; what is beyond is cut, says so,
// and stays apart from what begins alike.
func TestBounded(t *testing.T) {
	at := audit.Event{Path: strings.Repeat("p", store.MaxPath), Actor: strings.Repeat("a", store.MaxText), IPs: make([]netip.Addr, store.MaxIPs)}
	if store.Bounded(&at) != &at {
		t.Error("an event at the bounds is cut")
	}
	beyond := audit.Event{Path: at.Path + "p", Actor: strings.Repeat("ü", store.MaxText)}
	for i := range store.MaxIPs + 7 {
		beyond.IPs = append(beyond.IPs, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	cut := store.Bounded(&beyond)
	if len(cut.Path) != store.MaxPath || len(cut.Actor) > store.MaxText || !utf8.ValidString(cut.Actor) || !cut.Truncated || beyond.Truncated {
		t.Errorf("a path of %d bytes and an actor of %d are left, truncated: %t", len(cut.Path), len(cut.Actor), cut.Truncated)
	}
	first, last := cut.IPs[0], cut.IPs[len(cut.IPs)-1]
	if len(cut.IPs) != store.MaxIPs || first != beyond.IPs[0] || last != beyond.IPs[store.MaxIPs+6] || len(beyond.IPs) != store.MaxIPs+7 {
		t.Errorf("%d addresses are left, from %s to %s", len(cut.IPs), first, last)
	}
	other := beyond
	other.Path += "q"
	if again := store.Bounded(&other); again.Path == cut.Path || again.Path[:4000] != cut.Path[:4000] {
		t.Errorf("two paths become %q and %q", cut.Path[4000:], again.Path[4000:])
	}
	if store.Bounded(cut) != cut {
		t.Error("what was cut is cut again")
	}
}

// Every text of an event is bounded, and counted, whichever are added.
func TestEveryTextIsBounded(t *testing.T) {
	fields := reflect.TypeFor[audit.Event]()
	for i := range fields.NumField() {
		if fields.Field(i).Type.Kind() != reflect.String {
			continue
		}
		var e audit.Event
		empty := store.EventBytes(&e)
		reflect.ValueOf(&e).Elem().Field(i).SetString(strings.Repeat("x", 1<<20))
		if store.EventBytes(&e) != empty+1<<20 {
			t.Errorf("EventBytes doesn't count %s", fields.Field(i).Name)
		}
		if n := len(reflect.ValueOf(store.Bounded(&e)).Elem().Field(i).String()); n > store.MaxPath {
			t.Errorf("%s keeps %d bytes", fields.Field(i).Name, n)
		}
	}
}

// The groups of each identity are bounded by number, bytes and each by itself.
func TestBoundedGroups(t *testing.T) {
	list := func(n, size int) []string { return slices.Repeat([]string{strings.Repeat("g", size)}, n) }
	for name, tc := range map[string]struct {
		groups      []string
		kept, bytes int
	}{
		"as many":       {list(audit.MaxGroups, 1), audit.MaxGroups, audit.MaxGroups},
		"one more":      {list(audit.MaxGroups+1, 1), audit.MaxGroups, audit.MaxGroups},
		"as many bytes": {list(4, audit.MaxGroupBytes/4), 4, audit.MaxGroupBytes},
		"more bytes":    {append(list(4, audit.MaxGroupBytes/4), "x"), 4, audit.MaxGroupBytes*3/4 + 1},
		"a long one":    {list(1, store.MaxText+1), 1, store.MaxText},
	} {
		for i, of := range []func(*audit.Event) *[]string{
			func(e *audit.Event) *[]string { return &e.Groups }, func(e *audit.Event) *[]string { return &e.ActedViaGroups },
		} {
			var e audit.Event
			empty := store.EventBytes(&e)
			*of(&e) = tc.groups
			bounded := store.Bounded(&e)
			kept := *of(bounded)
			if size := len(strings.Join(kept, "")); len(kept) != tc.kept || size != tc.bytes || store.Bounded(bounded) != bounded {
				t.Errorf("%s: %d groups of %d bytes are kept, want %d of %d", name, len(kept), size, tc.kept, tc.bytes)
			}
			whole := slices.Equal(kept, tc.groups)
			if bounded.Truncated == whole || whole != (bounded == &e) {
				t.Errorf("%s: list %d: Truncated is %t", name, i, bounded.Truncated)
			}
			if n := store.EventBytes(&e) - empty; n < len(strings.Join(tc.groups, "")) {
				t.Errorf("%s: EventBytes counts %d bytes", name, n)
			}
		}
	}
}

func TestRoom(t *testing.T) {
	e := audit.Event{Path: strings.Repeat("p", 1000)}
	for _, most := range []int{1, 3 * store.EventBytes(&e), 0, store.MaxAnswerBytes * 2} {
		room, taken := store.NewRoom(most), 0
		for room.Take(&e) {
			taken++
		}
		want := map[int]int{1: 1, 3 * store.EventBytes(&e): 3}[most]
		if want == 0 {
			want = store.MaxAnswerBytes / store.EventBytes(&e)
		}
		if taken != want {
			t.Errorf("room of %d bytes takes %d events, want %d", most, taken, want)
		}
	}
}
