package web_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Who is shown something is recorded once, by page and API alike; who is shown
// nothing, and what is recorded otherwise, is not.
func TestLooksAreRecorded(t *testing.T) {
	recording := world
	var views *selfaudit.Views
	recording.Views = func(r *selfaudit.Recorder) *selfaudit.Views {
		views = selfaudit.NewViews(r)
		return views
	}
	records := embeddedtest.Open(t, embedded.Options{})
	server := httptest.NewServer(recording.HandlerOver(t, world.Store, records, func(*login.Options) {}))
	defer server.Close()
	visit := func(user string) *webtest.Browser {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		b := &webtest.Browser{Client: client, Base: server.URL}
		if got := b.Login(t, world.Tokens[user], ""); got.Status != http.StatusSeeOther {
			t.Fatalf("log-in of %s answered %d", user, got.Status)
		}
		return b
	}
	shop, nobody := visit(webtest.InShop), visit(webtest.Nobody)
	if got := visit(webtest.Everywhere).Do(t, http.MethodGet, "/api/v1/quarantine", nil, nil); got.Status != http.StatusForbidden {
		t.Errorf("without the right to it, the quarantine answers %d", got.Status)
	}
	looks := []string{
		"/security/audit-logs", "/api/v1/audit-logs", "/api/v1/audit-logs/facets/actor", "/api/v1/audit-logs/histogram", "/security/snapshots",
		"/api/v1/audit-logs/" + world.Events["shop-app"].ID.String(), "/security/audit-logs/events/" + world.Events["shop-app"].ID.String(), "/security/audit-logs/values/actor",
		"/security/snapshots/" + world.Snapshots["shop"].ID,
	}
	for _, path := range looks {
		if got := shop.Do(t, http.MethodGet, path, nil, nil); got.Status != http.StatusOK {
			t.Errorf("%s answers %d", path, got.Status)
		}
		if got := nobody.Do(t, http.MethodGet, path, nil, nil); got.Status != http.StatusForbidden && got.Status != http.StatusNotFound {
			t.Errorf("to who may see nothing %s answers %d", path, got.Status)
		}
	}
	// Recorded as what they are, or not at all.
	for _, path := range []string{"/security/audit-logs/csv", "/security/snapshots/" + world.Snapshots["shop"].ID + "/ndjson", "/login", "/api/v1/openapi.json"} {
		if got := shop.Do(t, http.MethodGet, path, nil, nil); got.Status != http.StatusOK {
			t.Errorf("%s answers %d", path, got.Status)
		}
	}
	if got := shop.Do(t, http.MethodGet, "/api/v1/audit-logs?namespace=billing", nil, nil); got.Status != http.StatusForbidden {
		t.Errorf("billing answers %d", got.Status)
	}
	if got := shop.Do(t, http.MethodPost, "/login", url.Values{"token": {"made-up"}}, nil); got.Status != http.StatusUnauthorized {
		t.Errorf("a made-up token answers %d", got.Status)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	views.Run(ended)

	now := time.Now()
	view, err := records.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: query.Window{From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Limit: store.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	refused := 0
	for _, e := range view.Events {
		switch {
		case e.Action == "project.audit_view":
			seen[e.Path]++
			if e.Namespace != "shop" || e.Method != http.MethodGet || e.Actor != "system:serviceaccount:default:"+webtest.InShop {
				t.Errorf("a look is recorded as %+v", e)
			}
		case e.Action == "project.audit_login" && e.StatusCode == http.StatusUnauthorized && e.ActorKind == audit.ActorAnonymous:
			refused++
		}
	}
	for _, path := range looks {
		if seen[path] != 1 {
			t.Errorf("the look at %s is recorded %d times", path, seen[path])
		}
	}
	if len(seen) != len(looks) || refused != 1 {
		t.Errorf("looks at %v and %d refused log-ins are recorded", seen, refused)
	}
}
