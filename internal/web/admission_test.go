package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Every door reads in the name of who knocks: where one namespace has all the
// places and the whole line that it may have, its service accounts get 503 and
// when to come back, and others their answers.
func TestReadsAreTheCallers(t *testing.T) {
	gate := admission.NewGate(admission.MinAtOnce, nil)
	m := &matrix{server: httptest.NewServer(world.Handler(t, admission.NewStore(world.Store, gate), false))}
	t.Cleanup(m.server.Close)
	const jane = "jane@example.com"
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: jane}, "shop")
	tail := m.visit(t, &caller{token: world.Tokens[webtest.InShop]}).send(t, get("/security/audit-logs?live=1&namespace=shop", nil))
	_, after, found := strings.Cut(tail.Body, "after=")
	if !found {
		_, after, found = strings.Cut(tail.Body, `data-next="`)
	}
	after, _, _ = strings.Cut(after, `"`)
	if !found || after == "" {
		t.Fatal("the list begins no tail")
	}
	fillLine(t, gate, admission.User("system:serviceaccount:default:another"))

	busy := m.visit(t, &caller{token: world.Tokens[webtest.InShop]})
	other := m.visit(t, &caller{from: webtest.ProxyAddress, header: http.Header{login.UserHeader: {jane}}})
	event, snapshot := world.Events["shop-app"].ID.String(), world.Snapshots["shop"].ID
	for name, req := range map[string]request{
		"list":      get("/security/audit-logs?namespace=shop", nil),
		"menu":      get("/security/audit-logs/values/actor?namespace=shop", nil),
		"event":     get("/security/audit-logs/events/"+event+"?namespace=shop", nil),
		"raw":       get("/security/audit-logs/events/"+event+"/raw?namespace=shop", nil),
		"tail":      get("/security/audit-logs/tail?namespace=shop&after="+after, nil),
		"csv":       get("/security/audit-logs/csv?namespace=shop", nil),
		"snapshots": get("/security/snapshots?namespace=shop", nil),
		"snapshot":  get("/security/snapshots/"+snapshot+"?namespace=shop", nil),
		"download":  get("/security/snapshots/"+snapshot+"/ndjson?namespace=shop", nil),

		"API list":      get("/api/v1/audit-logs?namespace=shop", nil),
		"API event":     get("/api/v1/audit-logs/"+event+"?namespace=shop", nil),
		"API histogram": get("/api/v1/audit-logs/histogram?namespace=shop", nil),
		"API facet":     get("/api/v1/audit-logs/facets/actor?namespace=shop", nil),
		"API snapshots": get("/api/v1/snapshots?namespace=shop", nil),
		"API snapshot":  get("/api/v1/snapshots/"+snapshot+"?namespace=shop", nil),
		"API records":   get("/api/v1/snapshots/"+snapshot+"/records?namespace=shop", nil),
		"API export":    get("/api/v1/export?namespace=shop&format=csv", nil),
		"Porter":        {method: http.MethodPost, path: "/api/v2/projects/shop/api-audit-logs/query", body: "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			got := busy.send(t, req)
			if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "5" || !strings.Contains(got.Body, "Too many questions at once") {
				t.Errorf("%s of the busy namespace answered %d, Retry-After %q:\n%.300s", req.path, got.Status, got.Header.Get("Retry-After"), got.Body)
			}
			if got := other.send(t, req); got.Status != http.StatusOK {
				t.Errorf("%s of somebody else answered %d:\n%.300s", req.path, got.Status, got.Body)
			}
		})
	}
}

// fillLine takes a caller's places, and all that it may have waiting.
func fillLine(t *testing.T, gate *admission.Gate, who admission.Caller) {
	t.Helper()
	ctx, cancel := context.WithCancel(admission.With(t.Context(), who))
	leave, err := gate.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); leave() })
	refused := make(chan struct{}, admission.WaitingEach+1)
	for range admission.WaitingEach + 1 {
		go func() {
			if leave, err := gate.Enter(ctx); err == nil {
				leave()
				return
			}
			refused <- struct{}{}
		}()
	}
	<-refused // one is too many, so that the line is full
}
