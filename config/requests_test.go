package config_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const operatorUser = "system:serviceaccount:" + operatorNamespace + ":" + operatorName

// request is one of the operator's, as the API server's audit log has it.
type request struct {
	permission permission
	refused    bool
	grantedBy  string // the binding that allowed it
	write      bool
	name       string // of the object, where there is one
}

// permission is one verb on one resource, everywhere or in one namespace.
type permission struct{ scope, verb, resource string }

func (p permission) String() string {
	return strings.TrimSpace(p.verb + " " + strings.TrimPrefix(p.resource, "/") + " " + p.scope)
}

const everywhere = "everywhere"

// operatorRequests reads the audit log from an offset on, and returns the
// offset at which the next call goes on. Other users' requests are left out.
func operatorRequests(t *testing.T, from int64) (requests []request, next int64) {
	t.Helper()
	log, err := os.Open(world.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Seek(from, 0); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(log)
	for next = from; ; {
		line, err := reader.ReadBytes('\n')
		if err != nil { // its end, or a line that is being written
			return requests, next
		}
		next += int64(len(line))
		if !bytes.Contains(line, []byte(operatorUser)) {
			continue
		}
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatalf("the audit log: %v", err)
		}
		if event.User.Username == operatorUser {
			requests = append(requests, requestOf(event))
		}
	}
}

var bindings = regexp.MustCompile(`^RBAC: allowed by (ClusterRoleBinding|RoleBinding) "([^"]+)"`)

func requestOf(event auditv1.Event) request {
	r := request{
		refused: event.Annotations["authorization.k8s.io/decision"] != "allow",
		write:   slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, event.Verb),
	}
	r.permission = permission{scope: everywhere, verb: event.Verb, resource: event.RequestURI}
	if o := event.ObjectRef; o != nil {
		r.name = o.Name
		r.permission.resource = strings.TrimSuffix(o.APIGroup+"/"+o.Resource+"/"+o.Subresource, "/")
	}
	if by := bindings.FindStringSubmatch(event.Annotations["authorization.k8s.io/reason"]); by != nil {
		r.grantedBy = by[2]
		if by[1] == "RoleBinding" {
			r.permission.scope = "in " + event.ObjectRef.Namespace
		}
	}
	return r
}

// scopedRole is a role that the operator's service account is bound to, with
// the scope in which its rules hold.
type scopedRole struct {
	scope string
	client.Object
}

// operatorRoles returns those that grant something, sorted.
func operatorRoles(t *testing.T) []scopedRole {
	t.Helper()
	var everywhereBindings rbacv1.ClusterRoleBindingList
	var namespaced rbacv1.RoleBindingList
	for _, list := range []client.ObjectList{&everywhereBindings, &namespaced} {
		if err := world.admin.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	var roles []scopedRole
	get := func(scope string, subjects []rbacv1.Subject, ref rbacv1.RoleRef, roleNamespace string) {
		if !slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool { return s.Name == operatorName && s.Namespace == operatorNamespace }) {
			return
		}
		var role client.Object = &rbacv1.ClusterRole{}
		if ref.Kind == "Role" {
			role = &rbacv1.Role{}
		}
		if err := world.admin.Get(t.Context(), client.ObjectKey{Namespace: roleNamespace, Name: ref.Name}, role); err != nil {
			t.Fatal(err)
		}
		roles = append(roles, scopedRole{scope, role})
	}
	for _, b := range everywhereBindings.Items {
		get(everywhere, b.Subjects, b.RoleRef, "")
	}
	for _, b := range namespaced.Items {
		get("in "+b.Namespace, b.Subjects, b.RoleRef, b.Namespace)
	}
	slices.SortFunc(roles, func(a, b scopedRole) int {
		return cmp.Or(strings.Compare(a.scope, b.scope), strings.Compare(a.GetName(), b.GetName()))
	})
	return roles
}

func rulesOf(role client.Object) *[]rbacv1.PolicyRule {
	if r, ok := role.(*rbacv1.ClusterRole); ok {
		return &r.Rules
	}
	return &role.(*rbacv1.Role).Rules
}

// permissions takes a rule apart, verb by verb.
func permissions(scope string, rule rbacv1.PolicyRule) []permission {
	var all []permission
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, permission{scope, verb, group + "/" + resource})
			}
		}
	}
	for _, url := range rule.NonResourceURLs {
		for _, verb := range rule.Verbs {
			all = append(all, permission{scope, verb, url})
		}
	}
	return all
}

// describe is a rule in a line.
func describe(scope string, rule rbacv1.PolicyRule) string {
	return fmt.Sprintf("%s of %s %s", strings.Join(rule.Verbs, ", "), strings.Join(rule.Resources, ", "), scope)
}
