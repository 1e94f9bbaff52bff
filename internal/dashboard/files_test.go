package dashboard_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The list's files hold what the list shows; where there is none, a page says
// why and what to do.
func TestFilesOfTheList(t *testing.T) {
	for _, tt := range []struct {
		user, path string
		header     http.Header
		status     int
		says       []string
		holds      []string // keys of events
	}{
		{user: everywhere, path: "/csv?namespace=shop&method=POST", status: 200, holds: []string{"foreign", "shop-app", "shop-env", "shop-project"}},
		{user: everywhere, path: "/ndjson?resource_type_exclude=application&namespace=shop", status: 200, holds: []string{"shop-env", "shop-project"}},
		{user: inShop, path: "/ndjson", status: 200, holds: []string{"shop-app", "shop-env", "shop-project"}},
		{user: everywhere, path: "/csv?actor=bob", status: 200},
		{user: everywhere, path: "/csv?resource_typ=application", status: 400, says: []string{"resource_typ", "is no filter"}},
		{user: everywhere, path: "/csv?cursor=x", status: 400, says: []string{"cursor", "is no filter"}},
		{user: everywhere, path: "/ndjson?range=yesterday", status: 400, says: []string{"range"}},
		{user: everywhere, path: "/ndjson?method=%zz", status: 400, says: []string{"written as URLs are"}},
		{user: inShop, path: "/csv?namespace=billing", status: 403, says: []string{"How to get rights", "Show this namespace"}},
		{user: nobody, path: "/csv", status: 403, says: []string{"How to get rights"}},
		{user: everywhere, path: "/csv", header: http.Header{"Sec-Fetch-Site": {"cross-site"}}, status: 403, says: []string{"page of another site"}},
	} {
		t.Run(tt.user+tt.path, func(t *testing.T) {
			got := world.As(t, tt.user).Do(t, http.MethodGet, "/security/audit-logs"+tt.path, nil, tt.header)
			if got.Status != tt.status {
				t.Fatalf("status %d, want %d: %s", got.Status, tt.status, got.Body)
			}
			keys := shown(got.Body)
			slices.Sort(keys)
			if diff := cmp.Diff(tt.holds, keys); diff != "" {
				t.Errorf("the answer holds (-want +got): %s", diff)
			}
			for _, want := range tt.says {
				if !strings.Contains(got.Body, want) {
					t.Errorf("the page lacks %q: %s", want, got.Body)
				}
			}
			if kind := got.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") == (tt.status == 200) {
				t.Errorf("%d comes as %s", tt.status, kind)
			}
			if named := strings.HasPrefix(got.Header.Get("Content-Disposition"), `attachment; filename="audit-`); named != (tt.status == 200) {
				t.Errorf("%d comes with Content-Disposition %q", tt.status, got.Header.Get("Content-Disposition"))
			}
		})
	}
}
