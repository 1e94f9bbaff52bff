package dashboard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	noEvent   = "00000000000000000000000000000000"
	ofTwo     = listPath + "?method_exclude=GET&actor=alice%40example.com&actor=bob%40example.com"
	manyChips = ofTwo + "&resource_type=application&status_code=5xx&status_code=403&ip_exclude=10.0.0.0%2F24&search=checkout&range=last_24_hours"
	ofNobody  = listPath + "?actor=nobody%40example.com"
)

// failing is a store that fails questions which search for a fault's name.
type failing struct{ store.Store }

func (f failing) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	switch req.Filter.Search {
	case "slow":
		<-ctx.Done()
		return store.View{}, ctx.Err()
	case "unavailable":
		return store.View{}, store.ErrUnavailable
	case "busy":
		return store.View{}, fmt.Errorf("a fault of the test: %w", store.ErrBusy)
	case "broken":
		return store.View{}, errors.New("a fault of the test")
	}
	return f.Store.View(ctx, scope, req)
}

func (f failing) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	if req.Filter.Search == "no facets" {
		return store.Facet{}, store.ErrUnavailable
	}
	return f.Store.Facet(ctx, scope, req)
}

// gone ends the connection of requests that search for it.
func gone(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("search") == "gone" {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	})
}

// takeSnapshots takes some of one query, and one that has fewer rows than matched.
func takeSnapshots(t *testing.T, s store.Store) (last store.Manifest) {
	t.Helper()
	for i := range 4 {
		owner, limit := store.Owner{Kind: "ClusterAuditLogQuery", Name: "deletes-in-production", UID: "one"}, 10000
		filter := query.Filter{Terms: query.Terms{Methods: []string{"DELETE"}}, Range: query.TimeRange{Preset: query.Last24Hours}}
		if i == 0 {
			owner, limit, filter = store.Owner{Kind: "AuditLogQuery", Namespace: "shop", Name: "weekly-report", UID: "two"}, 100, query.Filter{}
		}
		m, err := snapshot.Take(t.Context(), s, snapshot.Request{
			ID: snapshot.LegacyID(owner.UID, int64(i), ""), Owner: owner, Scope: query.ClusterWide(), Filter: filter, Limit: limit,
			Now: time.Now().Add(time.Duration(i-4) * time.Minute), Retention: 720 * time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		last = m
	}
	return last
}

// newest returns a store's newest event.
func newest(t *testing.T, s store.Store) audit.Event {
	t.Helper()
	now := time.Now()
	view, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: query.Window{From: now.Add(-7 * 24 * time.Hour), To: now}, Limit: 1})
	if err != nil || len(view.Events) != 1 {
		t.Fatalf("the newest event: %v, %v", view.Events, err)
	}
	return view.Events[0]
}

// opens opens a menu by its button, and waits for its values if it has any.
func opens(menu string) func(*browsertest.Tab) {
	return func(tab *browsertest.Tab) {
		tab.Click(menu + " > summary")
		tab.Await("the values of "+menu, fmt.Sprintf(`!document.querySelector("%[1]s > .panel > fieldset .find") || !!document.querySelector("%[1]s .n, %[1]s .alert")`, menu))
	}
}

func visible(selector string) func(*browsertest.Tab) {
	return func(tab *browsertest.Tab) { tab.Visible(selector) }
}

// after fills the search field and waits for what comes of it.
func after(text, shown string) func(*browsertest.Tab) {
	return func(tab *browsertest.Tab) {
		tab.Press("#search", text+"\r")
		tab.Visible(shown)
	}
}
