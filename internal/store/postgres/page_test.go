package postgres

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestPageBeyondBudget pages through what lies deeper than one walk looks, and
// compares with the view that people read.
func TestPageBeyondBudget(t *testing.T) {
	s := openFilled(t, postgrestest.Shared(t))
	window := query.Window{From: audit.Day(testNow).AddDate(0, 0, -3), To: testNow}
	terms := func(t query.Terms) query.Filter { return query.Filter{Terms: t} }
	for name, test := range map[string]struct {
		scope  query.Scope
		filter query.Filter
		sql    string
	}{
		"kind":            {query.ClusterWide(), terms(query.Terms{StatusCodes: []string{"404"}}), "status_code = 404"},
		"place":           {query.ClusterWide(), terms(query.Terms{Namespaces: []string{"namespace-40"}}), "namespace = 'namespace-40'"},
		"scope":           {query.InNamespaces("prod", "namespace-40"), query.Filter{}, "namespace = 'namespace-40'"},
		"actor":           {query.ClusterWide(), terms(query.Terms{Actors: []string{"actor-300"}}), "actor = 'actor-300'"},
		"place and actor": {query.ClusterWide(), terms(query.Terms{Namespaces: []string{"namespace-12"}, Actors: []string{"actor-300"}}), "namespace = 'namespace-12' AND actor = 'actor-300'"},
		"name":            {query.ClusterWide(), terms(query.Terms{ResourceNames: []string{"name-4711"}, Actors: []string{"actor-28*"}}), "resource_name = 'name-4711' AND starts_with(actor, 'actor-28')"},
		"search":          {query.ClusterWide(), query.Filter{Search: "Name-47110"}, "path LIKE '%name-47110%' OR resource_name LIKE '%name-47110%'"},
		"search of actor": {query.ClusterWide(), query.Filter{Search: "ACTOR-300"}, "actor = 'actor-300'"},
		"address":         {query.ClusterWide(), terms(query.Terms{IPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}), "FALSE"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := s.pool.Query(t.Context(), "SELECT id FROM audit_events WHERE "+test.sql+" ORDER BY occurred_at DESC, id DESC")
			if err != nil {
				t.Fatal(err)
			}
			want, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			if len(want) == 0 && test.sql != "FALSE" {
				t.Fatal("nothing matches")
			}
			for _, size := range []int{1, 20} {
				var got []string
				req := store.ViewRequest{Filter: test.filter, Window: window, Limit: size}
				for len(got) <= len(want) {
					view, err := s.View(t.Context(), test.scope, req)
					if err != nil {
						t.Fatal(err)
					}
					for i := range view.Events {
						got = append(got, view.Events[i].ID.String())
					}
					if req.After = view.Next; view.Next == nil {
						break
					}
				}
				if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
					t.Errorf("pages of %d (-want +got):\n%s", size, d)
				}
			}
		})
	}
}

// TestSteps checks that every minute of a listed day is in one step, and that
// the steps come newest first.
func TestSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tx := &readTx{}
		for n := range 20 {
			if rapid.IntRange(0, 3).Draw(t, "listed") > 0 {
				tx.days = append(tx.days, audit.Day(testNow).AddDate(0, 0, -n))
			}
		}
		minutes := rapid.IntRange(1, 30*24*60)
		window := query.Window{To: testNow.Truncate(time.Minute).Add(time.Duration(minutes.Draw(t, "ends")-10*24*60) * time.Minute)}
		window.From = window.To.Add(-time.Duration(minutes.Draw(t, "lasts")) * time.Minute)
		steps := tx.steps(tx.clamp(window))
		for i, step := range steps {
			if isEmpty(step) || i > 0 && step.To.After(steps[i-1].From) {
				t.Fatalf("step %d of %v is empty or not older than the one before", i, steps)
			}
		}
		covered, want := time.Duration(0), time.Duration(0)
		for _, day := range tx.days {
			of := func(w query.Window) time.Duration {
				return max(0, earliest(w.To, day.Add(dayLength)).Sub(latest(w.From, day)))
			}
			want += of(window)
			for _, step := range steps {
				covered += of(step)
			}
		}
		if covered != want {
			t.Fatalf("%v cover %s of %v, want %s", steps, covered, window, want)
		}
	})
}
