package config_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// What restores is a Pod that the namespace accepts, with the rights on the
// volume that the operator has, and the volume is the one that the StatefulSet
// takes.
func TestRestorePod(t *testing.T) {
	var set appsv1.StatefulSet
	find(t, build(t, "default"), "StatefulSet", &set)
	objects := build(t, "restore")
	var pod corev1.Pod
	find(t, objects, "Pod", &pod)
	var claim corev1.PersistentVolumeClaim
	find(t, objects, "PersistentVolumeClaim", &claim)

	for name, d := range map[string]string{
		"security context of the Pod":       cmp.Diff(set.Spec.Template.Spec.SecurityContext, pod.Spec.SecurityContext),
		"security context of the container": cmp.Diff(set.Spec.Template.Spec.Containers[0].SecurityContext, pod.Spec.Containers[0].SecurityContext),
		"image":                             cmp.Diff(set.Spec.Template.Spec.Containers[0].Image, pod.Spec.Containers[0].Image),
		"volume":                            cmp.Diff(set.Spec.VolumeClaimTemplates[0].Spec.Resources, claim.Spec.Resources),
		"name of the volume":                cmp.Diff(set.Spec.VolumeClaimTemplates[0].Name+"-"+set.Name+"-0", claim.Name),
		"the Pod's volume":                  cmp.Diff(claim.Name, pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName),
		"mount":                             cmp.Diff(set.Spec.Template.Spec.Containers[0].VolumeMounts, pod.Spec.Containers[0].VolumeMounts),
	} {
		if d != "" {
			t.Errorf("%s (-StatefulSet +restore):\n%s", name, d)
		}
	}
	if err := world.admin.Create(t.Context(), &pod); err != nil {
		t.Errorf("the namespace refuses the Pod: %v", err)
	}
	restoreAs(t, pod.Spec.Containers[0].Args)
}

// restoreAs runs the Pod's arguments with nothing to write to but its volume,
// which begins as a new one does.
func restoreAs(t *testing.T, arguments []string) {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(to, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := embeddedtest.Open(t, embedded.Options{Dir: from}).Close(); err != nil {
		t.Fatal(err)
	}
	run := func(dir string, in []byte, args ...string) (out []byte) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{confined, dir, manager(t)}, args...)...)
		cmd.Env, cmd.Dir = []string{}, "/"
		cmd.Stdin = bytes.NewReader(in)
		var messages bytes.Buffer
		cmd.Stderr = &messages
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, &messages)
		}
		return out
	}
	backup := run(from, nil, "backup", "--data-dir="+from)
	arguments = slices.Clone(arguments)
	for i := range arguments {
		arguments[i] = strings.ReplaceAll(arguments[i], "/data", to)
	}
	run(to, backup, arguments...)
	if _, err := os.Stat(filepath.Join(to, embedded.DatabaseFile)); err != nil {
		t.Error(err)
	}
	embeddedtest.Open(t, embedded.Options{Dir: to})
}

// find reads the object of a kind.
func find(t *testing.T, objects []unstructured.Unstructured, kind string, into any) {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind {
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("there is no %s", kind)
}
