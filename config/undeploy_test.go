package config_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// anothers is a finalizer that is not the operator's to take away.
const anothers = "example.com/keep"

// cluster is an API server of a test's own, where the operator can go.
type cluster struct {
	t *testing.T
	*apiserver
	admin client.Client
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	a, err := startAPIServer(dir, filepath.Join(dir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, apiserver: a}
	if c.admin, err = client.New(a.config, client.Options{Scheme: world.admin.Scheme()}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) install(installation string) {
	c.t.Helper()
	if _, err := c.kubectl(c.t.Context(), "apply", "--server-side", "-k", installation); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) create(objects ...client.Object) {
	c.t.Helper()
	for _, o := range objects {
		if err := c.admin.Create(c.t.Context(), o); err != nil {
			c.t.Fatal(err)
		}
	}
}

// undeploy runs make undeploy, which must end by itself, and returns its exit
// code and what it said.
func (c *cluster) undeploy(env ...string) (int, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "../hack/undeploy.sh")
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "KUBECTL="+filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"))
	command.Env = append(command.Env, env...)
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		c.t.Fatalf("%v (%v)\n%s", err, ctx.Err(), out)
	}
	return command.ProcessState.ExitCode(), string(out)
}

// state is "", "deleting" or "gone".
func (c *cluster) state(o client.Object) string {
	c.t.Helper()
	err := c.admin.Get(c.t.Context(), client.ObjectKeyFromObject(o), o)
	switch {
	case apierrors.IsNotFound(err) || err != nil && strings.Contains(err.Error(), "no matches for kind"):
		return "gone"
	case err != nil:
		c.t.Fatal(err)
	case !o.GetDeletionTimestamp().IsZero():
		return "deleting"
	}
	return ""
}

func (c *cluster) expect(want string, objects ...client.Object) {
	c.t.Helper()
	for _, o := range objects {
		if got := c.state(o); got != want {
			c.t.Errorf("%T %s/%s is %q, not %q", o, o.GetNamespace(), o.GetName(), got, want)
		}
	}
}

// expectUninstalled looks for everything that an installation names. A test
// control plane has no controller that ends namespaces, so theirs stay.
func (c *cluster) expectUninstalled(installed []unstructured.Unstructured) {
	c.t.Helper()
	for i := range installed {
		o, want := &installed[i], "gone"
		if o.GetKind() == "Namespace" {
			want = map[string]string{operatorNamespace: "deleting", "audit-db": ""}[o.GetName()]
		}
		if got := c.state(o); got != want {
			c.t.Errorf("%s %s is %q, not %q", o.GetKind(), o.GetName(), got, want)
		}
	}
}

func named(namespace, name string, finalizers ...string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: finalizers}
}

// The operator is gone, and its finalizers are not. Nothing is left, and
// nothing of anybody else's is missing.
func TestUndeploy(t *testing.T) {
	for _, installation := range installations {
		t.Run(installation, func(t *testing.T) {
			c := startCluster(t)
			c.install(installation)
			kept := &v1alpha1.AuditLogQuery{ObjectMeta: named(shop, "kept", anothers, v1alpha1.Finalizer)}
			made := []client.Object{
				&v1alpha1.AuditLogQuery{ObjectMeta: named(shop, "one", v1alpha1.Finalizer)},
				&v1alpha1.AuditLogQuery{ObjectMeta: named(metav1.NamespaceDefault, "two", v1alpha1.Finalizer)},
				&v1alpha1.AuditLogQuery{ObjectMeta: named(shop, "three")},
				&v1alpha1.ClusterAuditLogQuery{ObjectMeta: named("", "all", v1alpha1.Finalizer)},
				&v1alpha1.AuditSource{ObjectMeta: named("", "control-plane-1"), Spec: v1alpha1.AuditSourceSpec{Cluster: "cluster"}},
				&corev1.Secret{ObjectMeta: named(operatorNamespace, "audit-source-control-plane-1")},
				&coordinationv1.Lease{ObjectMeta: named(operatorNamespace, operatorName)},
			}
			made[5].SetLabels(map[string]string{"app.kubernetes.io/managed-by": operatorName})
			others := []client.Object{
				&corev1.ConfigMap{ObjectMeta: named(shop, "prices")},
				&corev1.Event{ObjectMeta: named(shop, "one.1"), InvolvedObject: corev1.ObjectReference{Namespace: shop}},
				&corev1.ConfigMap{ObjectMeta: named(metav1.NamespaceDefault, operatorName)},
				&rbacv1.RoleBinding{ObjectMeta: named(shop, "alice"), RoleRef: rbacv1.RoleRef{
					APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "auditlog-viewer",
				}},
			}
			if installation != "default" {
				others = append(others, &corev1.Secret{ObjectMeta: named("audit-db", "audit-db-app")})
			}
			c.create(&corev1.Namespace{ObjectMeta: named("", shop)}, kept)
			c.create(slices.Concat(made, others)...)

			code, out := c.undeploy()
			if code != 2 || !strings.Contains(out, "Cluster: envtest at https://127.0.0.1:") || !strings.Contains(out, "Nothing was changed") {
				t.Errorf("without a confirmation: %d\n%s", code, out)
			}
			c.expect("", slices.Concat(made, others)...)

			code, out = c.undeploy("CONFIRM=yes", "WAIT=4")
			if code != 1 || !strings.Contains(out, "auditlogquery.audit.porter.run/kept") {
				t.Errorf("with another's finalizer: %d\n%s", code, out)
			}
			if state := c.state(kept); state != "deleting" || !slices.Equal(kept.Finalizers, []string{anothers}) {
				t.Errorf("it is %q and has the finalizers %q", state, kept.Finalizers)
			}
			c.expect("gone", made...)
			if !strings.Contains(out, "RoleBinding shop/alice (auditlog-viewer)") {
				t.Errorf("it does not name a binding that outlives its role:\n%s", out)
			}

			kept.Finalizers = nil
			if err := c.admin.Update(t.Context(), kept); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second has nothing to do
				if code, out = c.undeploy("CONFIRM=yes", "WAIT=30"); code != 0 {
					t.Errorf("again: %d\n%s", code, out)
				}
				c.expectUninstalled(build(t, installation))
			}
			c.expect("", others...)
		})
	}
}

// While the operator runs, snapshots go with their queries, also where the
// volume is to be kept. After that it can be installed again.
func TestUndeployWhileItRuns(t *testing.T) {
	c := startCluster(t)
	c.install("default")
	s := &scenario{t: t, backend: newEmbedded(t), dir: t.TempDir(), kubeconfig: c.kubeconfig, from: auditLogEnd(t)}
	s.o = s.startOperator(freeAddresses(t))
	if err := s.starts(); err != nil {
		t.Fatal(err)
	}
	// A test control plane starts no Pods: this is the operator's, for who looks.
	pod := &corev1.Pod{ObjectMeta: named(operatorNamespace, operatorName+"-0"), Spec: templates(t, build(t, "default"))[operatorName].Spec}
	pod.Labels = map[string]string{"app.kubernetes.io/name": operatorName}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: named(operatorNamespace, "data-audit-operator-0"), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	query := &v1alpha1.AuditLogQuery{ObjectMeta: named(shop, "one")}
	c.create(&corev1.Namespace{ObjectMeta: named("", shop)}, query, pod, claim)
	pod.Status.Phase = corev1.PodRunning
	if err := c.admin.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if err := s.await(func() error {
		if err := c.admin.Get(t.Context(), client.ObjectKeyFromObject(query), query); err != nil {
			return err
		}
		return condition(query.Status.Conditions, v1alpha1.ReadyCondition)
	}); err != nil {
		t.Fatal(err)
	}
	id := query.Status.Snapshot.ID
	if !s.backend.hasSnapshot(s, id) {
		t.Fatal("the query has no snapshot")
	}

	c.stallAndEnd(s.o, query, pod)
	code, out := c.undeploy("CONFIRM=yes", "KEEP_DATA=yes", "WAIT=60")
	if code != 0 || strings.Contains(out, "without the operator") || strings.Contains(out, "without it") {
		t.Errorf("%d\n%s", code, out)
	}
	if s.backend.hasSnapshot(s, id) {
		t.Error("the snapshot outlived its query")
	}
	c.expect("gone", query, pod, &corev1.Secret{ObjectMeta: named(operatorNamespace, "audit-operator-ca")})
	c.expect("", claim, &corev1.Namespace{ObjectMeta: named("", operatorNamespace)})
	c.install("default")
}

// stallAndEnd has the operator do nothing until some seconds after the query's
// deletion, as a busy one would, and ends it with its Pod, as a kubelet would.
func (c *cluster) stallAndEnd(o *operator, query, pod client.Object) {
	c.t.Helper()
	signal := func(s os.Signal) {
		if err := o.process.Process.Signal(s); err != nil {
			c.t.Error(err)
		}
	}
	signal(syscall.SIGSTOP)
	query, pod = query.DeepCopyObject().(client.Object), pod.DeepCopyObject().(client.Object)
	done := make(chan struct{})
	go func() {
		defer close(done)
		await := func(reached func() bool) {
			for tick := time.NewTicker(50 * time.Millisecond); !reached() && c.t.Context().Err() == nil; {
				<-tick.C
			}
		}
		await(func() bool { return c.state(query) != "" })
		stalled := time.Now()
		await(func() bool { return time.Since(stalled) > 3*time.Second })
		signal(syscall.SIGCONT)
		await(func() bool { return c.state(pod) != "" })
		o.stop(c.t)
	}()
	c.t.Cleanup(func() { <-done })
}
