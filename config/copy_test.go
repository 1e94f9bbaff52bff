package config_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// What copies the volume has the rights on it that the operator had, and the
// way to the database and the password that the operator will have.
func TestCopyJob(t *testing.T) {
	var set appsv1.StatefulSet
	find(t, build(t, "default"), "StatefulSet", &set)
	over := build(t, "overlays/postgres")
	var deployment appsv1.Deployment
	find(t, over, "Deployment", &deployment)
	objects := build(t, "copy")
	var job batchv1.Job
	find(t, objects, "Job", &job)
	var policy networkingv1.NetworkPolicy
	find(t, objects, "NetworkPolicy", &policy)

	was, is, pod := set.Spec.Template.Spec, deployment.Spec.Template.Spec, job.Spec.Template.Spec
	claim := set.Spec.VolumeClaimTemplates[0].Name + "-" + set.Name + "-0"
	for what, d := range map[string]string{
		"security context of the Pod":       cmp.Diff(was.SecurityContext, pod.SecurityContext),
		"security context of the container": cmp.Diff(was.Containers[0].SecurityContext, pod.Containers[0].SecurityContext),
		"image":                             cmp.Diff(was.Containers[0].Image, pod.Containers[0].Image),
		"volume":                            cmp.Diff(claim, pod.Volumes[0].PersistentVolumeClaim.ClaimName),
		"mounts":                            cmp.Diff(slices.Concat(was.Containers[0].VolumeMounts, is.Containers[0].VolumeMounts), pod.Containers[0].VolumeMounts),
		"Secret":                            cmp.Diff(is.Volumes, pod.Volumes[1:]),
		"variables":                         cmp.Diff(is.Containers[0].Env[1:], pod.Containers[0].Env),
		"Pods of the policy":                cmp.Diff(job.Spec.Template.Labels, policy.Spec.PodSelector.MatchLabels),
	} {
		if d != "" {
			t.Errorf("%s (-operator +copy):\n%s", what, d)
		}
	}
	same, err := os.ReadFile("overlays/postgres/database.env")
	if err != nil {
		t.Fatal(err)
	}
	if copied, err := os.ReadFile("copy/database.env"); err != nil || string(copied) != string(same) {
		t.Errorf("the database is %q (%v), and the operator's %q", copied, err, same)
	}
	admitted := &corev1.Pod{Spec: pod}
	admitted.Namespace, admitted.Name = job.Namespace, job.Name
	if err := world.admin.Create(t.Context(), admitted); err != nil {
		t.Errorf("the namespace refuses the Pod: %v", err)
	}
	copyAs(t, pod.Containers[0].Args)
}

// copyAs runs the Job's arguments with nothing to write to but its volume.
func copyAs(t *testing.T, arguments []string) {
	t.Helper()
	dir := t.TempDir()
	if err := embeddedtest.Open(t, embedded.Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	database := postgrestest.Shared(t).Database(t)
	if err := postgres.Migrate(t.Context(), database, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	passwords := filepath.Join(t.TempDir(), "pgpass")
	escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(password)
	if err := os.WriteFile(passwords, fmt.Appendf(nil, "*:*:*:%s:%s\n", u.User.Username(), escaped), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments = slices.Clone(arguments)
	for i := range arguments {
		arguments[i] = strings.ReplaceAll(arguments[i], "/data", dir)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{confined, dir, manager(t)}, arguments...)...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(), "PGDATABASE=" + strings.TrimPrefix(u.Path, "/"), "PGSSLMODE=prefer",
		"PGUSER=" + u.User.Username(), "PGPASSFILE=" + passwords,
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("No manager uses "+dir)) {
		t.Errorf("%v: %v\n%s", arguments, err, out)
	}
}

// Before the operator moves, its new database is migrated alone.
func TestMigrateAlone(t *testing.T) {
	var kinds []string
	for _, o := range build(t, "overlays/postgres") {
		if o.GetLabels()["app.kubernetes.io/name"] == operatorName+"-migrate" {
			kinds = append(kinds, o.GetKind())
		}
	}
	slices.Sort(kinds)
	if d := cmp.Diff([]string{"ConfigMap", "Job", "Namespace", "NetworkPolicy"}, kinds); d != "" {
		t.Errorf("what has the label of the migration (-want +got):\n%s", d)
	}
}
