package config_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// installations are what one command installs, each by itself.
var installations = []string{"default", "overlays/postgres"}

// One command installs everything on an empty cluster, and changes nothing
// when it is given again.
func TestOneCommandInstalls(t *testing.T) {
	for _, installation := range installations {
		t.Run(installation, func(t *testing.T) {
			dir := t.TempDir()
			empty, err := startAPIServer(dir, filepath.Join(dir, "audit.log"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := empty.stop(); err != nil {
					t.Error(err)
				}
			}()
			apply := func() string {
				t.Helper()
				out, err := empty.kubectl(t.Context(), "apply", "--server-side", "-k", installation)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			if first, second := apply(), apply(); first != second {
				t.Errorf("applying twice said:\n%s\nand then:\n%s", first, second)
			}
		})
	}
}

// The tests' own API server was installed the other way of applying.
func TestApplyAgain(t *testing.T) {
	again, err := world.kubectl(t.Context(), "apply", "-k", "default")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(again) {
		if !strings.HasSuffix(line, " unchanged\n") {
			t.Errorf("applying again says: %s", line)
		}
	}
	// From the one way to the other: what applies has no conflict with itself.
	if _, err := world.kubectl(t.Context(), "apply", "--server-side", "-k", "default"); err != nil {
		t.Error(err)
	}
}

// build returns what a kustomization makes.
func build(t *testing.T, dir string) []unstructured.Unstructured {
	t.Helper()
	out, err := world.kubectl(t.Context(), "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	var objects []unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(out), 4096); ; {
		var object unstructured.Unstructured
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		objects = append(objects, object)
	}
}

// templates returns the Pod templates of workloads, with their namespace, by the
// workload's name.
func templates(t *testing.T, objects []unstructured.Unstructured) map[string]corev1.PodTemplateSpec {
	t.Helper()
	found := map[string]corev1.PodTemplateSpec{}
	for _, o := range objects {
		at := []string{"spec", "template"}
		if o.GetKind() == "CronJob" {
			at = []string{"spec", "jobTemplate", "spec", "template"}
		}
		content, ok, _ := unstructured.NestedMap(o.Object, at...)
		if !ok {
			continue
		}
		var template corev1.PodTemplateSpec
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &template); err != nil {
			t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
		}
		// A volume claim becomes a volume of the Pod.
		claims, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates")
		for _, claim := range claims {
			claimed, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
			template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
				Name: claimed, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			})
		}
		template.Namespace = o.GetNamespace()
		found[o.GetName()] = template
	}
	return found
}

// The namespaces enforce Pod Security restricted. They accept any workload and
// refuse Pods, so a Pod of each workload is tried, and some that are looser.
func TestPodsAreRestricted(t *testing.T) {
	for _, installation := range installations {
		objects := build(t, installation)
		for _, o := range objects {
			if o.GetKind() == "Namespace" {
				if err := world.admin.Create(t.Context(), &o); client.IgnoreAlreadyExists(err) != nil {
					t.Fatal(err)
				}
			}
		}
		all := templates(t, objects)
		if len(all) == 0 {
			t.Fatalf("%s: there is no workload", installation)
		}
		for workload, template := range all {
			t.Run(installation+"/"+workload, func(t *testing.T) { checkRestricted(t, workload, template) })
		}
	}
}

func checkRestricted(t *testing.T, workload string, template corev1.PodTemplateSpec) {
	t.Helper()
	pod := func(spec corev1.PodSpec) error {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: template.Namespace, GenerateName: workload + "-"}, Spec: spec}
		return world.admin.Create(t.Context(), p)
	}
	if err := pod(template.Spec); err != nil {
		t.Errorf("its Pod: %v", err)
	}
	for looser, loosen := range map[string]func(*corev1.PodSpec){
		"root":       func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil },
		"escalation": func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.AllowPrivilegeEscalation = ptr.To(true) },
		"seccomp":    func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil },
	} {
		spec := template.Spec.DeepCopy()
		loosen(spec)
		if err := pod(*spec); !apierrors.IsForbidden(err) {
			t.Errorf("a Pod with less (%s) was not refused: %v", looser, err)
		}
	}
	for _, c := range template.Spec.Containers {
		if !ptr.Deref(c.SecurityContext.ReadOnlyRootFilesystem, false) { // restricted does not ask for it
			t.Errorf("the root filesystem of %s can be written", c.Name)
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
			t.Errorf("%s requests no resources", c.Name)
		}
	}
}

// Every kustomization builds, and no role in any of them grants a wildcard, a
// way to more rights, or Secrets of the whole cluster.
func TestRolesAreNarrow(t *testing.T) {
	roles := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "kustomization.yaml" {
			return err
		}
		if data, err := os.ReadFile(path); err != nil || bytes.Contains(data, []byte("kind: Component")) {
			return err // a component builds only with what it changes
		}
		for _, o := range build(t, filepath.Dir(path)) {
			if o.GetKind() != "Role" && o.GetKind() != "ClusterRole" {
				continue
			}
			roles++
			var role rbacv1.ClusterRole // the rules of a Role are the same
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role); err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				if problem := tooWide(o.GetKind(), rule); problem != "" {
					t.Errorf("%s: %s %s: %s: %+v", path, o.GetKind(), o.GetName(), problem, rule)
				}
			}
		}
		return nil
	})
	if err != nil || roles == 0 {
		t.Errorf("%d roles, %v", roles, err)
	}
}

func tooWide(kind string, rule rbacv1.PolicyRule) string {
	lists := slices.Concat(rule.Verbs, rule.APIGroups, rule.Resources)
	switch {
	case slices.ContainsFunc(lists, func(value string) bool { return strings.Contains(value, "*") }):
		return "a wildcard"
	case slices.Contains(rule.NonResourceURLs, "*"), slices.Contains(rule.NonResourceURLs, "/*"):
		return "every path" // below a path of one's own, * is how RBAC writes it
	case slices.ContainsFunc(rule.Verbs, func(verb string) bool {
		return slices.Contains([]string{"bind", "escalate", "impersonate"}, verb)
	}):
		return "a way to more rights"
	case kind == "ClusterRole" && slices.Contains(rule.Resources, "secrets"):
		return "Secrets of the whole cluster"
	}
	return ""
}

// Nobody reads events because they could read the cluster before, and the
// roles for people say what they give away.
func TestRolesForPeople(t *testing.T) {
	for _, role := range []string{"auditlog-viewer", "auditlog-editor"} {
		var r rbacv1.ClusterRole
		if err := world.admin.Get(t.Context(), client.ObjectKey{Name: role}, &r); err != nil {
			t.Fatal(err)
		}
		for label := range r.Labels {
			if strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
				t.Errorf("%s is part of another role by %s", role, label)
			}
		}
		if grants := r.Annotations["audit.porter.run/grants"]; !strings.Contains(grants, "may read the events of its scope") {
			t.Errorf("%s does not say what it grants: %q", role, grants)
		}
	}
}

// What the workload does not say about ports is what the binary does by default.
func TestPortsAreTheDefaults(t *testing.T) {
	help, err := exec.CommandContext(t.Context(), manager(t), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, installation := range installations {
		container := templates(t, build(t, installation))[operatorName].Spec.Containers[0]
		for _, p := range container.Ports {
			address := fmt.Sprintf(":%d", p.ContainerPort)
			if !strings.Contains(string(help), `"`+address+`"`) && !slices.Contains(container.Args, "--"+p.Name+"-bind-address="+address) {
				t.Errorf("%s: nothing listens on the port %s, %s", installation, p.Name, address)
			}
		}
		for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe} {
			if probe.HTTPGet.Path != "/healthz" {
				t.Errorf("%s: the container is ended for %s", installation, probe.HTTPGet.Path)
			}
		}
		if container.ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Errorf("%s: the container is ready by %s", installation, container.ReadinessProbe.HTTPGet.Path)
		}
	}
}
