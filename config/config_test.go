// Package config_test applies what ships to a real API server.
package config_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// installed applies config/default and returns the API server's client.
func installed(t *testing.T) client.Client {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	user, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	apply := func() string {
		t.Helper()
		command := exec.CommandContext(t.Context(), filepath.Join(assets, "kubectl"), "--kubeconfig="+path, "apply", "--server-side", "-k", "default")
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("apply config/default: %v\n%s", err, stderr.String())
		}
		return string(out)
	}
	if first, second := apply(), apply(); first != second {
		t.Errorf("applying twice said:\n%s\nand then:\n%s", first, second)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The namespace enforces Pod Security restricted, and the operator's Pod is let in.
func TestPodIsRestricted(t *testing.T) {
	c := installed(t)
	ctx := context.Background()
	set := &appsv1.StatefulSet{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: "audit-system", Name: "audit-operator"}, set); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: set.Namespace, Name: "audit-operator-0", Labels: set.Spec.Template.Labels},
		Spec:       *set.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	if err := c.Create(ctx, pod); err != nil {
		t.Errorf("the operator's Pod: %v", err)
	}
	for name, loosen := range map[string]func(*corev1.PodSpec){
		"root":       func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil },
		"escalation": func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.AllowPrivilegeEscalation = ptr.To(true) },
		"seccomp":    func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil },
	} {
		loose := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: set.Namespace, Name: name}, Spec: *pod.Spec.DeepCopy()}
		loosen(&loose.Spec)
		if err := c.Create(ctx, loose); !apierrors.IsForbidden(err) {
			t.Errorf("a Pod with less (%s) was not refused: %v", name, err)
		}
	}
	container := set.Spec.Template.Spec.Containers[0]
	if !*container.SecurityContext.ReadOnlyRootFilesystem || container.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Errorf("container %+v", container)
	}
}

// Every flag that the workload is given exists, and its ports are the defaults.
func TestWorkloadFlags(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), "go", "run", "..", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("manager/statefulset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifest)) {
		if flag, ok := strings.CutPrefix(strings.TrimSpace(line), "- --"); ok {
			name, _, _ := strings.Cut(flag, "=")
			if !strings.Contains(string(help), "--"+name+" ") {
				t.Errorf("the manager has no flag --%s", name)
			}
		}
	}
	for _, port := range []string{":8443", ":8080", ":8081"} {
		if !strings.Contains(string(help), `"`+port+`"`) || !strings.Contains(string(manifest), "containerPort: "+port[1:]+"}") {
			t.Errorf("port %s is not both the default and the container's", port)
		}
	}
}
