package selfaudit_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// flush has all that was noted stored.
func flush(t *testing.T, v *selfaudit.Views) {
	t.Helper()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	v.Run(ended)
}

// Of one caller, and of all refused log-ins together, sixty looks an hour are
// recorded one by one and the others in one record.
func TestViews(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	var clock atomic.Int64
	clock.Store(time.Now().Add(-2 * time.Hour).UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Add(1)).UTC() }
	v := selfaudit.NewViews(recorder(t, selfaudit.Options{Writer: s, Now: now}))
	shop := query.InNamespaces("own", "shop")
	look := func(user auth.User, scope query.Scope, times int) {
		for range times {
			v.Looked(request(t, http.MethodGet, "/security/audit-logs?namespace=shop"), user, scope, auth.Once)
		}
	}
	bob := auth.User{Name: "bob@example.com"}
	look(alice, shop, selfaudit.ViewsAnHour+5)
	look(bob, query.ClusterWide(), 1)
	for range 9 { // a live tail takes nothing of the others' sixty
		v.Looked(request(t, http.MethodGet, "/security/audit-logs/tail"), bob, query.ClusterWide(), auth.Ongoing)
		v.Looked(request(t, http.MethodGet, "/security/audit-logs/csv"), bob, query.ClusterWide(), auth.Elsewhere)
	}
	for range selfaudit.ViewsAnHour + 7 {
		v.Refused(request(t, http.MethodPost, "/login?token=hush-query"), "token")
	}
	clock.Add(time.Hour.Microseconds())
	look(alice, shop, 1) // its hour is over
	flush(t, v)

	window := query.Window{From: time.Now().Add(-3 * time.Hour), To: time.Now().Add(time.Hour)}
	read := func(scope query.Scope) (looks, logins []audit.Event, raws string) {
		view, err := s.View(t.Context(), scope, store.ViewRequest{Window: window, Limit: store.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range view.Events {
			full, err := s.Event(t.Context(), scope, e.ID)
			if err != nil {
				t.Fatal(err)
			}
			raws += string(full.Raw) + "\n"
			switch e.Action {
			case "project.audit_view":
				looks = append(looks, full)
			case "project.audit_login":
				logins = append(logins, full)
			}
		}
		return looks, logins, raws
	}
	looks, logins, raws := read(query.ClusterWide())
	// Sixty and the five in one, one of the next hour, bob's, and two of his tail.
	if len(looks) != selfaudit.ViewsAnHour+5 || len(logins) != selfaudit.ViewsAnHour+1 {
		t.Errorf("%d looks and %d refused log-ins are recorded", len(looks), len(logins))
	}
	if n := strings.Count(raws, `"audit.porter.run/others":"5"`); n != 1 {
		t.Errorf("%d records speak of five other looks, want 1", n)
	}
	if n := strings.Count(raws, `"audit.porter.run/others":"8"`); n != 1 {
		t.Errorf("%d records speak of eight more requests of a tail, want 1", n)
	}
	if n := strings.Count(raws, `"audit.porter.run/others":"7"`); n != 1 {
		t.Errorf("%d records speak of seven other log-ins, want 1", n)
	}
	if strings.Contains(raws, "hush") {
		t.Error("a record holds a secret")
	}
	for _, e := range looks {
		if e.Method != http.MethodGet || e.Verb != "get" || e.Client != audit.ClientOperator || e.StatusCode != http.StatusOK || (e.Namespace == "shop") != (e.Actor == alice.Name) {
			t.Errorf("look %+v", e)
		}
	}
	for _, e := range logins {
		if e.StatusCode != http.StatusUnauthorized || e.Namespace != "" || e.ActorKind != audit.ActorAnonymous {
			t.Errorf("refused log-in %+v", e)
		}
	}
	if in, _, _ := read(shop); len(in) != selfaudit.ViewsAnHour+2 {
		t.Errorf("who reads shop sees %d looks at it", len(in))
	}
}

// hanging is a store that takes nothing until it is let go.
type hanging struct{ hold chan struct{} }

func (h hanging) Append(context.Context, store.Batch) (store.Appended, error) {
	<-h.hold
	return store.Appended{}, store.ErrUnavailable
}

// A store that hangs, and more callers than are counted, keep nobody waiting and
// take bounded memory; what is lost is counted.
func TestViewsWaitForNothing(t *testing.T) {
	metrics := prometheus.NewRegistry()
	h := hanging{make(chan struct{})}
	v := selfaudit.NewViews(recorder(t, selfaudit.Options{Writer: h, Metrics: selfaudit.NewMetrics(metrics)}))
	running, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { v.Run(running); close(done) }()
	const callers = 10_000
	r := request(t, http.MethodGet, "/security/audit-logs")
	began := time.Now()
	for n := range callers {
		v.Looked(r, auth.User{Name: fmt.Sprint("user-", n)}, query.ClusterWide(), auth.Once)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("%d looks take %s", callers, took)
	}
	close(h.hold)
	stop()
	<-done
	got := `# HELP audit_own_records_total The operator's own records of exports, downloads, deletions of snapshots, log-ins and looks, by action and outcome: stored, failed.
# TYPE audit_own_records_total counter
`
	for _, action := range []string{"project.audit_export", "project.audit_login", "project.audit_snapshot_delete", "project.audit_snapshot_download", "project.audit_view"} {
		failed := 0
		if action == "project.audit_view" {
			failed = callers
		}
		got += fmt.Sprintf("audit_own_records_total{action=%q,outcome=\"failed\"} %d\naudit_own_records_total{action=%q,outcome=\"stored\"} 0\n", action, failed, action)
	}
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(got)); err != nil {
		t.Error(err)
	}
	(*selfaudit.Views)(nil).Looked(r, alice, query.ClusterWide(), auth.Once)
	(*selfaudit.Views)(nil).Refused(r, "token")
}
