package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testActions asks for actions of any resource type. A type has no dot, so that
// what follows the first is the action, whatever dots it holds.
func testActions(t *testing.T, b *bench) {
	actions := []string{"application.exec", "cluster.exec", "my_type.exec", "application.a.exec", "application.executive", "application.EXEC", "exec", ".exec", "application.", "project.100%", ""}
	for i, action := range actions {
		e := plain(i, b.clock.Now().Add(-time.Duration(i)*time.Minute))
		e.Action = action
		b.append(t, store.Appended{Stored: 1}, number(e, i))
	}
	execs := []string{"application.exec", "cluster.exec", "my_type.exec", ".exec"}
	for _, tt := range []struct {
		terms, want []string
	}{
		{[]string{"*.exec"}, execs},
		{[]string{"*.exec*"}, append(slices.Clone(execs), "application.executive")},
		{[]string{"*.exec", "project.100%"}, append(slices.Clone(execs), "project.100%")},
		{[]string{"*.a.exec"}, []string{"application.a.exec"}},
		{[]string{"*.%"}, nil},
		{[]string{"*.1*"}, []string{"project.100%"}},
		{[]string{"*.*"}, []string{"application.exec", "cluster.exec", "my_type.exec", "application.a.exec", "application.executive", "application.EXEC", ".exec", "project.100%"}},
		{[]string{"application.*"}, []string{"application.exec", "application.a.exec", "application.executive", "application.EXEC", "application."}},
	} {
		rest := slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return slices.Contains(tt.want, a) })
		for _, ask := range []struct {
			filter query.Filter
			want   []string
		}{
			{query.Filter{Terms: query.Terms{Actions: tt.terms}}, tt.want},
			{query.Filter{Exclude: query.Terms{Actions: tt.terms}}, rest},
		} {
			t.Run(fmt.Sprintf("%v excluding %v", ask.filter.Actions, ask.filter.Exclude.Actions), func(t *testing.T) {
				view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: ask.filter, Window: always(b.clock.Now()), Limit: 100, Count: true})
				if err != nil || view.Matched != int64(len(ask.want)) {
					t.Errorf("%d events, %v, want %d", view.Matched, err, len(ask.want))
				}
				var got []string
				for _, e := range view.Events {
					got = append(got, e.Action)
				}
				slices.Sort(got)
				slices.Sort(ask.want)
				if diff := cmp.Diff(ask.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}
