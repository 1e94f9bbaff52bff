package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

const (
	ownCluster   = "own"
	dashboardURL = "https://audit.example.com"
	operatorUser = "system:serviceaccount:audit-system:audit-operator"
	operatorNS   = "audit-system"
)

// What all tests share: one real apiserver, the operator's controllers with
// the rights that config/rbac gives them, one store. Each test uses names of
// its own.
var (
	admin         client.Client
	scheme        = runtime.NewScheme()
	faults        *faultyStore
	registry      = webhook.NewRegistry()
	taker         *collector.Collector
	ingest        http.Handler
	resourceTypes *ResourceTypes
	issuer        *credentials.Issuer
	nudger        = &Nudger{}
	operator      client.WithWatch // with the operator's rights
)

func TestMain(m *testing.M) {
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		panic("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	log.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	env := &envtest.Environment{CRDDirectoryPaths: []string{"../config/crd/bases"}, ErrorIfCRDPathMissing: true}
	config, err := env.Start()
	must(err)
	defer func() { must(env.Stop()) }()
	dir, err := os.MkdirTemp("", "controllers-test-")
	must(err)
	defer os.RemoveAll(dir)

	ctx, cancel := context.WithCancel(context.Background())
	admin, err = client.New(config, client.Options{Scheme: scheme})
	must(err)
	must(applyRBAC(ctx))
	opened, err := embedded.Open(ctx, embedded.Options{Dir: dir, Retention: retention})
	must(err)
	faults = &faultyStore{Store: opened, of: map[string]fault{}}

	stopped := make(chan error, 1)
	mgr, err := newManager(ctx, config)
	must(err)
	go func() { stopped <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		must(<-stopped)
		must(opened.Close())
	}()
	return m.Run()
}

const retention = 30 * 24 * time.Hour

func newManager(ctx context.Context, config *rest.Config) (ctrl.Manager, error) {
	own := rest.CopyConfig(config)
	own.Impersonate = rest.ImpersonationConfig{
		UserName: operatorUser, Groups: []string{"system:authenticated", "system:serviceaccounts", "system:serviceaccounts:" + operatorNS},
	}
	live, err := client.NewWithWatch(own, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	operator = interceptor.NewClient(live, interceptor.Funcs{Get: getAsFromCache})
	mgr, err := ctrl.NewManager(own, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{operatorNS: {}}},
		}},
	})
	if err != nil {
		return nil, err
	}
	if issuer, err = credentials.New(ctx, operator, credentials.Options{Namespace: operatorNS, IngestURL: "https://127.0.0.1:8443"}); err != nil {
		return nil, err
	}
	taker = collector.New(collector.Options{Writer: faults})
	if resourceTypes, err = NewResourceTypes(operatorUser, taker.SetClassifier); err != nil {
		return nil, err
	}
	ingest = newIngest(registry)
	options := Options{
		Store: faults, Issuer: issuer, Registry: registry, Types: resourceTypes,
		ClusterName: ownCluster, DashboardURL: dashboardURL, Retention: retention,
		RunEvery: 20 * time.Millisecond, Nudger: nudger,
	}
	return mgr, errors.Join(Follow(mgr, options), Lead(mgr, options))
}

// getAsFromCache reads for the operator what its manager has in a cache, which
// lists and watches; it may get nothing but Secrets.
func getAsFromCache(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*corev1.Secret); ok {
		return c.Get(ctx, key, o, opts...)
	}
	return admin.Get(ctx, key, o, opts...)
}

func newIngest(r *webhook.Registry) http.Handler { return webhook.NewHandler(r, taker, logr.Discard()) }

// applyRBAC gives the operator the rights that ship, and no others.
func applyRBAC(ctx context.Context) error {
	for _, name := range []string{"namespace", "service_account", "role", "role_binding"} {
		data, err := os.ReadFile(filepath.Join("..", "config", "rbac", name+".yaml"))
		if err != nil {
			return err
		}
		for _, document := range strings.Split(string(data), "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := admin.Create(ctx, object); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// newNamespace returns the name of a namespace that is this test's own.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	create(t, ns)
	return ns.Name
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// await reads the object until it is as wanted, and fails with what want says
// is missing.
func await(t *testing.T, o client.Object, want func() error) {
	t.Helper()
	var problem error
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if problem = admin.Get(t.Context(), client.ObjectKeyFromObject(o), o); problem == nil {
			problem = want()
		}
		if problem == nil {
			return
		}
		<-tick.C
	}
	t.Fatalf("%T %s: %v", o, o.GetName(), problem)
}

func requestFor(o client.Object) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}

// awaitGone waits until the API server no longer has the object.
func awaitGone(t *testing.T, o client.Object) {
	t.Helper()
	gone := o.DeepCopyObject().(client.Object)
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !apierrors.IsNotFound(admin.Get(t.Context(), client.ObjectKeyFromObject(o), gone)) {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("%s is still there: finalizers %v", o.GetName(), gone.GetFinalizers())
		}
	}
}

// discardEvents is for reconcilers that run beside the controllers.
type discardEvents struct{}

func (discardEvents) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}
