package v1alpha1_test

import (
	"strings"
	"testing"
)

// The shipped roles grant what they say, where they are bound and nowhere
// else, and the stock roles grant none of it.
func TestRoles(t *testing.T) {
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", "config/rbac/auditlog_viewer_role.yaml", "-f", "config/rbac/auditlog_editor_role.yaml", "-f", "config/rbac/quarantine_viewer_role.yaml"},
		{"create", "rolebinding", "viewer", "-n", "default", "--clusterrole=auditlog-viewer", "--user=viewer"},
		{"create", "rolebinding", "editor", "-n", "default", "--clusterrole=auditlog-editor", "--user=editor"},
		{"create", "clusterrolebinding", "auditor", "--clusterrole=auditlog-viewer", "--user=auditor"},
		{"create", "clusterrolebinding", "chief-editor", "--clusterrole=auditlog-editor", "--user=chief-editor"},
		{"create", "clusterrolebinding", "quarantine-viewer", "--clusterrole=auditlog-quarantine-viewer", "--user=quarantine-viewer"},
		{"create", "clusterrolebinding", "stock-viewer", "--clusterrole=view", "--user=stock-viewer"},
		{"create", "clusterrolebinding", "stock-admin", "--clusterrole=admin", "--user=stock-admin"},
	} {
		kubectl(t, args...)
	}
	const events, queries, cluster = "auditlogqueries.audit.porter.run/events", "auditlogqueries.audit.porter.run", "clusterauditlogqueries.audit.porter.run"
	const snapshots, quarantine = "auditlogqueries.audit.porter.run/snapshots", "auditsources.audit.porter.run/quarantine"
	tests := []struct {
		user, verb, resource, namespace, want string
	}{
		{"viewer", "get", events, "default", "yes"},
		{"viewer", "get", events, "kube-system", "no"},
		{"viewer", "get", events, "", "no"},
		{"viewer", "get", queries, "default", "yes"},
		{"viewer", "create", queries, "default", "no"},
		{"viewer", "get", cluster, "", "no"},
		{"editor", "create", queries, "default", "yes"},
		{"editor", "create", queries, "kube-system", "no"},
		{"editor", "create", cluster, "", "no"},
		{"editor", "get", events, "default", "yes"},
		{"auditor", "get", events, "", "yes"},
		{"auditor", "get", cluster, "", "yes"},
		{"auditor", "create", cluster, "", "no"},
		// Rights of their own, which no other role holds, also bound everywhere.
		{"chief-editor", "delete", cluster, "", "yes"},
		{"chief-editor", "delete", snapshots, "", "no"},
		{"chief-editor", "get", quarantine, "", "no"},
		{"auditor", "delete", snapshots, "", "no"},
		{"auditor", "get", quarantine, "", "no"},
		{"quarantine-viewer", "get", quarantine, "", "yes"},
		{"quarantine-viewer", "get", events, "", "no"},
		{"stock-admin", "delete", snapshots, "", "no"},
		{"stock-admin", "get", quarantine, "", "no"},
		{"stock-viewer", "get", events, "default", "no"},
		{"stock-viewer", "get", queries, "default", "no"},
		{"stock-admin", "create", queries, "default", "no"},
	}
	for _, tt := range tests {
		t.Run(strings.Join([]string{tt.user, tt.verb, tt.resource, tt.namespace}, " "), func(t *testing.T) {
			// What follows a slash would be an object's name to can-i.
			resource, subresource, _ := strings.Cut(tt.resource, "/")
			args := []string{"auth", "can-i", tt.verb, resource, "--subresource=" + subresource, "--as=" + tt.user}
			if tt.namespace == "" {
				args = append(args, "--all-namespaces")
			} else {
				args = append(args, "-n", tt.namespace)
			}
			// can-i fails where the answer is no, so what it prints decides.
			stdout, stderr, err := runKubectl(t, args...)
			if got := strings.TrimSpace(stdout); got != tt.want {
				t.Errorf("got %q (%v, %s), want %q", got, err, stderr, tt.want)
			}
		})
	}
}
