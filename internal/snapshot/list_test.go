package snapshot_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

var somewhere = store.SnapshotPosition{TakenAt: time.Date(2026, 11, 20, 12, 0, 0, 1000, time.UTC), ID: strings.Repeat("0a", 16)}

func FuzzPosition(f *testing.F) {
	f.Add(snapshot.EncodePosition(somewhere))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := snapshot.DecodePosition("before", s)
		if err == nil && snapshot.EncodePosition(p) != s {
			t.Errorf("%q decodes to what is written as %q", s, snapshot.EncodePosition(p))
		}
		var wrong *query.FieldError
		if err != nil && (!errors.As(err, &wrong) || wrong.Field != "before") {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestPosition(t *testing.T) {
	if got, err := snapshot.DecodePosition("x", snapshot.EncodePosition(somewhere)); err != nil || got != somewhere {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Pages of any size hold each snapshot of the named namespaces once, and no
// other, the newest first.
func TestList(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	now := time.Now()
	scopes := map[string]query.Scope{"shop": query.InNamespaces("own", "shop"), "bills": query.InNamespaces("own", "bills"), query.NoNamespace: query.ClusterWide()}
	want := map[string][]string{}
	for i := range 12 {
		of := []string{"shop", "bills", query.NoNamespace}[i%3]
		m, err := snapshot.Take(t.Context(), s, snapshot.Request{ID: snapshot.LegacyID(of, int64(i), ""), Owner: store.Owner{Name: "q", UID: of}, Scope: scopes[of], Limit: 1, Now: now.Add(time.Duration(i/4) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		want[of] = append(want[of], m.ID)
	}
	for _, tt := range []struct {
		scope string
		named []string
		of    []string // those whose snapshots there are
	}{
		{query.NoNamespace, nil, []string{"shop", "bills", query.NoNamespace}},
		{query.NoNamespace, []string{"shop"}, []string{"shop"}},
		{query.NoNamespace, []string{query.NoNamespace, "bills"}, []string{query.NoNamespace, "bills"}},
		{query.NoNamespace, []string{"none"}, nil},
		{query.NoNamespace, []string{"=shop"}, []string{"shop"}},
		{query.NoNamespace, []string{"=-", "==shop", "="}, nil},
		{"shop", nil, []string{"shop"}},
		{"shop", []string{"bills"}, nil},
	} {
		all := map[string]bool{}
		for _, of := range tt.of {
			for _, id := range want[of] {
				all[id] = true
			}
		}
		for limit := 1; limit <= 13; limit++ {
			got := map[string]bool{}
			var before *store.SnapshotPosition
			last := store.SnapshotPosition{TakenAt: now.Add(time.Hour)}
			for pages := 0; pages == 0 || before != nil; pages++ {
				page, err := snapshot.List(t.Context(), s, scopes[tt.scope], tt.named, before, limit)
				if err != nil || len(page.Manifests) > limit || pages > 12 {
					t.Fatalf("page %d of %d has %d: %v", pages, limit, len(page.Manifests), err)
				}
				for _, m := range page.Manifests {
					if got[m.ID] || last.Compare(m.Position()) >= 0 {
						t.Errorf("%+v by %d: %s is out of order", tt, limit, m.ID)
					}
					got[m.ID], last = true, m.Position()
				}
				before = page.Next
			}
			if diff := cmp.Diff(all, got); diff != "" {
				t.Errorf("%+v by %d: %s", tt, limit, diff)
			}
		}
	}
}
