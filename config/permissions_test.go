package config_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/gatetest"
)

// The operator's binary runs by the service account that ships, does all that
// it can, and asks for exactly what its roles grant: nothing is refused,
// nothing is granted that is not used, and without any one rule it fails.
func TestPermissions(t *testing.T) {
	createPeople(t)
	server, _, err := rest.DefaultServerUrlFor(world.config)
	if err != nil {
		t.Fatal(err)
	}
	gate := gatetest.Open(t, server.Host)
	kubeconfig := operatorKubeconfig(t, "https://"+gate.Address())

	t.Run("embedded", func(t *testing.T) { checkPermissions(t, kubeconfig, gate, newEmbedded, "") })
	t.Run("PostgreSQL", func(t *testing.T) {
		allowElection(t)
		checkPermissions(t, kubeconfig, gate, newPostgres, electionRole)
	})
}

// checkPermissions tries the operator with all of its rights and, of the role
// that is named or of all, without each one.
func checkPermissions(t *testing.T, kubeconfig string, gate *gatetest.Gate, newBackend func(*testing.T) backend, ofRole string) {
	t.Run("everything works", func(t *testing.T) {
		began := auditLogEnd(t)
		s := newScenario(t, kubeconfig, newBackend)
		s.run(t)
		restart(t, s)
		compareRights(t, began)
		withoutAPIServer(t, s, gate)
	})

	var table strings.Builder
	rows := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "without the rule\tthe first that fails: the operator\tbecause of refused")
	for _, role := range operatorRoles(t) {
		if ofRole != "" && role.GetName() != ofRole {
			continue
		}
		for i, rule := range *rulesOf(role.Object) {
			t.Run("without "+describe(role.scope, rule), func(t *testing.T) {
				began := time.Now()
				step, refused := withoutRule(t, role, i, kubeconfig, newBackend)
				fmt.Fprintf(rows, "%s\t%s\t%s\n", describe(role.scope, rule), step, list(refused))
				t.Logf("it fails where the operator %s (%s)", step, time.Since(began).Round(time.Second))
			})
		}
	}
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
}

// run does every step, each of which must succeed.
func (s *scenario) run(t *testing.T) {
	t.Helper()
	for _, step := range steps {
		began := time.Now()
		if err := step.do(s); err != nil {
			t.Fatalf("the operator does not do this: %s: %v (refused: %v)\n%s", step.name, err, s.refused, s.o.log.String())
		}
		t.Logf("%5.1fs  it %s", time.Since(began).Seconds(), step.name)
	}
}

// restart starts the operator again over what exists. It reads as it would
// from an API server that doesn't stream lists, and writes nothing.
func restart(t *testing.T, s *scenario) {
	t.Helper()
	if err := s.answersQueries(); err != nil { // they match what came before
		t.Fatal(err)
	}
	if s.o.stop(t); s.o.err != nil {
		t.Errorf("the operator ended with %v", s.o.err)
	}
	began := auditLogEnd(t)
	s.o = s.startOperator(s.o.addresses, "KUBE_FEATURE_WatchListClient=false")
	if err := s.becomesReady(); err != nil {
		t.Fatal(err)
	}
	// The last to be reconciled is one that is new, of each kind that has work.
	probe := &v1alpha1.AuditLogQuery{ObjectMeta: metav1.ObjectMeta{Namespace: shop, Name: "after-restart"}}
	if err := world.admin.Create(t.Context(), probe); err != nil {
		t.Fatal(err)
	}
	s.queries = append(s.queries, probe)
	for _, q := range s.queries {
		before := q.GetStatus().Snapshot
		if err := s.await(func() error {
			if err := s.get(q); err != nil {
				return err
			}
			return condition(q.GetStatus().Conditions, v1alpha1.ReadyCondition)
		}); err != nil {
			t.Fatal(err)
		}
		if before != nil && q.GetStatus().Snapshot.ID != before.ID {
			t.Errorf("%s has another snapshot after a restart", q.GetName())
		}
	}
	requests, _ := operatorRequests(t, began)
	for _, r := range requests {
		about := strings.TrimPrefix(r.permission.resource, "audit.porter.run/")
		switch {
		case !r.write, r.name == probe.Name, strings.HasSuffix(about, "reviews"), strings.HasSuffix(about, "leases"):
		case about == "events.k8s.io/events": // the new query's
		case about == "auditsources/status": // what came after it was written last
		default:
			t.Errorf("the restart wrote: %s %s", r.permission, r.name)
		}
	}
}

// compareRights compares what the operator asked for with what it may.
func compareRights(t *testing.T, began int64) {
	t.Helper()
	granted := map[permission]bool{}
	for _, role := range operatorRoles(t) {
		for _, rule := range *rulesOf(role.Object) {
			for _, p := range permissions(role.scope, rule) {
				granted[p] = true
			}
		}
	}
	used := map[permission]bool{}
	requests, _ := operatorRequests(t, began)
	for _, r := range requests {
		switch {
		case r.refused:
			t.Errorf("refused: %s", r.permission)
		case r.grantedBy == "system:discovery" || r.grantedBy == "system:basic-user": // what everyone may
		default:
			used[r.permission] = true
		}
	}
	sorted := func(set map[permission]bool) []string {
		var out []string
		for p := range set {
			out = append(out, p.String())
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(sorted(granted), sorted(used)); diff != "" {
		t.Fatalf("granted and not used (-), used and not granted (+):\n%s", diff)
	}
	t.Logf("%d requests used these %d permissions, all that are granted:\n%s", len(requests), len(used), strings.Join(sorted(used), "\n"))
}

// withoutAPIServer: the operator still lives and still takes deliveries. To
// end it would help nobody and lose what it could take.
func withoutAPIServer(t *testing.T, s *scenario, gate *gatetest.Gate) {
	t.Helper()
	gate.Close()
	defer gate.Reopen(t)
	for _, probe := range []string{"/healthz", "/readyz"} {
		if err := s.answers(http.DefaultClient, "http://"+s.o.health+probe, "", http.StatusOK, ""); err != nil {
			t.Error(err)
		}
	}
	if err := s.takesDelivery(); err != nil {
		t.Errorf("no delivery is taken without the API server: %v", err)
	}
}

// withoutRule takes one rule away, runs the scenario and returns the first
// step that failed, and what was refused by then.
func withoutRule(t *testing.T, role scopedRole, i int, kubeconfig string, newBackend func(*testing.T) backend) (failed string, refused []permission) {
	t.Helper()
	less := role.DeepCopyObject().(client.Object)
	gone := permissions(role.scope, (*rulesOf(less))[i])
	*rulesOf(less) = slices.Delete(*rulesOf(less), i, i+1)
	replaceRole(t, less, gone[0], false)
	defer replaceRole(t, role.DeepCopyObject().(client.Object), gone[0], true)

	s := newScenario(t, kubeconfig, newBackend)
	defer s.o.stop(t)
	for _, step := range steps {
		if step.do(s) == nil {
			continue
		}
		s.readLog()
		refused = slices.Clone(s.refused)
		slices.SortFunc(refused, func(a, b permission) int { return strings.Compare(a.String(), b.String()) })
		refused = slices.Compact(refused)
		for _, p := range refused {
			if !slices.ContainsFunc(gone, func(g permission) bool { return g.verb == p.verb && g.resource == p.resource }) {
				t.Errorf("refused what the rule does not grant: %s", p)
			}
		}
		if len(refused) == 0 {
			t.Errorf("fails where it %s, and nothing was refused:\n%s", step.name, s.o.log.String())
		}
		return step.name, refused
	}
	t.Errorf("everything works without it")
	return "nowhere", nil
}

// replaceRole waits until the API server decides by it.
func replaceRole(t *testing.T, role client.Object, p permission, allowed bool) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	role.SetResourceVersion("")
	if err := world.admin.Update(ctx, role); err != nil {
		t.Fatal(err)
	}
	group, resource, _ := strings.Cut(p.resource, "/")
	resource, subresource, _ := strings.Cut(resource, "/")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: operatorUser, Groups: []string{"system:authenticated", "system:serviceaccounts"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: role.GetNamespace(), Verb: p.verb, Group: group, Resource: resource, Subresource: subresource,
		},
	}}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		answer := review.DeepCopy()
		if err := world.admin.Create(ctx, answer); err != nil {
			t.Fatal(err)
		}
		if answer.Status.Allowed == allowed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still allowed: %v", p, answer.Status.Allowed)
		}
	}
}

// list is what was refused, in a line.
func list(refused []permission) string {
	var out []string
	for _, p := range refused {
		p.scope = "" // a refused request does not tell by which role it was meant to be allowed
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

func auditLogEnd(t *testing.T) int64 {
	t.Helper()
	_, end := operatorRequests(t, 0)
	return end
}
