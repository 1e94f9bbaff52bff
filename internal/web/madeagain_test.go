package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Whose rights are in a namespace alone is shown by no door what an earlier one
// of its name saw; who may see everything still is.
func TestNamespaceMadeAgain(t *testing.T) {
	since := world.Events["shop-app"].OccurredAt
	later := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		created time.Time
		visible []string
		// snapshot says whether the namespace's snapshot was taken since.
		snapshot bool
	}{
		"made again":       {since, []string{"shop-app"}, true},
		"made again later": {later, nil, false},
	} {
		again := world
		again.Created = func(context.Context, string) (time.Time, error) { return tc.created, nil }
		server := httptest.NewServer(again.Handler(t, world.Store, false))
		defer server.Close()
		ask := func(user, path string) (int, string) {
			t.Helper()
			b := &webtest.Browser{Client: server.Client(), Base: server.URL}
			got := b.Do(t, http.MethodGet, path, nil, http.Header{"Authorization": {"Bearer " + world.Tokens[user]}})
			return got.Status, got.Body
		}
		for _, door := range []string{
			"/security/audit-logs?namespace=shop", "/security/audit-logs", "/api/v1/audit-logs?namespace=shop", "/api/v1/audit-logs",
			"/api/v1/export?format=ndjson", "/security/audit-logs/csv?namespace=shop", "/api/v1/audit-logs/facets/resource_name", "/security/audit-logs/values/resource_name",
		} {
			for _, user := range []string{webtest.InShop, webtest.Everywhere} {
				status, body := ask(user, door)
				if status != http.StatusOK {
					t.Errorf("%s, %s: %s answers %d", name, user, door, status)
				}
				for _, key := range []string{"shop-app", "shop-env", "shop-project"} {
					want := user == webtest.Everywhere || len(tc.visible) > 0 && key == "shop-app"
					if got := strings.Contains(body, world.Events[key].ResourceName); got != want {
						t.Errorf("%s, %s: %s shows %s: %t, want %t", name, user, door, key, got, want)
					}
				}
			}
		}
		for _, key := range []string{"shop-app", "shop-env"} {
			want := http.StatusNotFound
			if len(tc.visible) > 0 && key == "shop-app" {
				want = http.StatusOK
			}
			for _, path := range []string{"/security/audit-logs/events/", "/api/v1/audit-logs/"} {
				if status, _ := ask(webtest.InShop, path+world.Events[key].ID.String()+"?namespace=shop"); status != want {
					t.Errorf("%s: the event %s at %s answers %d, want %d", name, key, path, status, want)
				}
			}
		}
		id, want := world.Snapshots["shop"].ID, http.StatusNotFound
		if tc.snapshot {
			want = http.StatusOK
		}
		for _, path := range []string{"/security/snapshots/" + id, "/security/snapshots/" + id + "/ndjson", "/api/v1/snapshots/" + id, "/api/v1/snapshots/" + id + "/records"} {
			if status, _ := ask(webtest.InShop, path+"?namespace=shop"); status != want {
				t.Errorf("%s: %s answers %d, want %d", name, path, status, want)
			}
		}
		for _, path := range []string{"/security/snapshots", "/api/v1/snapshots"} {
			if _, body := ask(webtest.InShop, path); strings.Contains(body, id) != tc.snapshot {
				t.Errorf("%s: %s lists the snapshot: %t", name, path, !tc.snapshot)
			}
		}
	}
}

// Where the API server does not say when a namespace was created, nothing of it
// is shown.
func TestNoCreationNothingShown(t *testing.T) {
	silent := world
	silent.Created = func(ctx context.Context, _ string) (time.Time, error) { return time.Time{}, context.DeadlineExceeded }
	server := httptest.NewServer(silent.Handler(t, world.Store, false))
	defer server.Close()
	b := &webtest.Browser{Client: server.Client(), Base: server.URL}
	for _, path := range []string{"/api/v1/audit-logs?namespace=shop", "/api/v1/audit-logs", "/security/audit-logs", "/api/v1/export"} {
		got := b.Do(t, http.MethodGet, path, nil, http.Header{"Authorization": {"Bearer " + world.Tokens[webtest.InShop]}})
		if got.Status != http.StatusServiceUnavailable || strings.Contains(got.Body, "own-shop") {
			t.Errorf("%s answers %d", path, got.Status)
		}
	}
}
