package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/store"
)

const snapshots = "/api/v1/snapshots"

type manifests struct {
	Items []store.Manifest `json:"items"`
	Next  string           `json:"next"`
}

func TestSnapshots(t *testing.T) {
	p := newPrograms(t)
	absent := map[string]string{}
	for _, user := range []string{everywhere, inShop, inBoth, nobody} {
		absent[user] = p.get(t, user, snapshots+"/"+strings.Repeat("0", 32)).Body
	}
	for _, tt := range []struct {
		user, query string
		status      int
		of          []string // the namespaces of the snapshots
	}{
		{everywhere, "", 200, []string{"", "billing", "shop"}},
		{everywhere, "?namespace=shop", 200, []string{"shop"}},
		{everywhere, "?namespace=shop&namespace=-", 200, []string{"", "shop"}},
		{everywhere, "?namespace=other", 200, nil},
		{everywhere, "?namespace==shop", 200, []string{"shop"}},
		{inShop, "?namespace==shop", 200, []string{"shop"}},
		{inShop, "", 200, []string{"shop"}},
		{inShop, "?namespace=shop", 200, []string{"shop"}},
		{inShop, "?namespace=billing", 403, nil},
		{inShop, "?namespace=-", 403, nil},
		{inBoth, "", 200, []string{"billing", "shop"}},
		{inBoth, "?namespace=billing", 200, []string{"billing"}},
		{nobody, "", 403, nil},
		{"", "", 401, nil},
	} {
		answer := p.get(t, tt.user, snapshots+tt.query)
		if tt.status != http.StatusOK {
			wantProblem(t, answer, tt.status, map[int]string{401: "unauthenticated", 403: "forbidden"}[tt.status])
			continue
		}
		got := decode[manifests](t, answer)
		var of []string
		for _, m := range got.Items {
			of = append(of, m.Namespace)
			if diff := cmp.Diff(world.Snapshots[m.Namespace], m); diff != "" {
				t.Errorf("%s%s: %s", tt.user, tt.query, diff)
			}
		}
		if !slices.IsSortedFunc(got.Items, func(a, b store.Manifest) int { return a.Position().Compare(b.Position()) }) {
			t.Errorf("%s%s: the newest is not first", tt.user, tt.query)
		}
		slices.Sort(of)
		if diff := cmp.Diff(tt.of, of); diff != "" || got.Next != "" {
			t.Errorf("%s%s: next %q, %s", tt.user, tt.query, got.Next, diff)
		}
		// Each of them, and no other, can be asked for.
		for namespace, m := range world.Snapshots {
			one := p.get(t, tt.user, snapshots+"/"+m.ID)
			switch may := slices.Contains(tt.of, namespace); {
			case tt.query != "":
			case may:
				if diff := cmp.Diff(m, decode[store.Manifest](t, one)); diff != "" {
					t.Errorf("%s: %s", tt.user, diff)
				}
			case one.Status != http.StatusNotFound || one.Body != absent[tt.user]:
				t.Errorf("%s sees the snapshot of %q: %s", tt.user, namespace, one.Body)
			}
		}
	}
}

// Pages of any size hold every snapshot once.
func TestSnapshotPages(t *testing.T) {
	p := newPrograms(t)
	for _, query := range []string{"", "&namespace=shop&namespace=-"} {
		whole := decode[manifests](t, p.get(t, everywhere, snapshots+"?limit=1000"+query))
		for limit := 1; limit <= len(whole.Items)+1; limit++ {
			var got []store.Manifest
			cursor := ""
			for pages := 0; pages == 0 || cursor != ""; pages++ {
				answer := decode[manifests](t, p.get(t, everywhere, fmt.Sprintf("%s?limit=%d&cursor=%s%s", snapshots, limit, cursor, query)))
				got, cursor = append(got, answer.Items...), answer.Next
				if pages > 5 {
					t.Fatal("the pages do not end")
				}
			}
			if diff := cmp.Diff(whole.Items, got); diff != "" {
				t.Errorf("by %d%s: %s", limit, query, diff)
			}
		}
	}
	for query, parameter := range map[string]string{"cursor=x": "cursor", "limit=0": "limit", "actor=a": "actor", "range=1h": "range"} {
		got := wantProblem(t, p.get(t, everywhere, snapshots+"?"+query), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", query, got)
		}
	}
	one := snapshots + "/" + world.Snapshots["shop"].ID
	wantProblem(t, p.get(t, inShop, one+"?raw=true"), http.StatusBadRequest, "invalid")
	for _, id := range []string{"x", "%00", strings.ToUpper(strings.Repeat("a", 32))} {
		wantProblem(t, p.get(t, everywhere, snapshots+"/"+id), http.StatusNotFound, "not-found")
	}
}
