package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
)

const (
	root        = "../.."
	clusterName = "torture"
	namespace   = "audit-system"
)

// The sources that deliver: some scenarios have one of them misbehave.
var sourceNames = []string{"honest", "hostile"}

// world is what all scenarios share: a control plane with the operator's
// resources, the manager's binary, and credentials that it made.
type world struct {
	cluster    *cluster.Cluster
	dir        string
	binary     string
	kubeconfig string // of the operator's service account
	ports      ports
	sources    map[string]*source
}

type ports struct{ ingest, dashboard, health string }

// source is what an API server gets from the operator.
type source struct {
	name, token string
	authority   []byte
}

var theWorld = sync.OnceValues(func() (*world, error) { return newWorld(context.Background()) })

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // of the harness's own clients
	code := m.Run()
	if w, err := theWorld(); err == nil && w != nil {
		if err := w.end(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if testing.Verbose() {
		summary.print(os.Stdout)
	}
	os.Exit(code)
}

// inWorld returns the world, which the first scenario makes.
func inWorld(t *testing.T) *world {
	t.Helper()
	w, err := theWorld()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newWorld(ctx context.Context) (_ *world, err error) {
	w := &world{sources: map[string]*source{}}
	if w.dir, err = os.MkdirTemp("", "torture-"); err != nil {
		return nil, err
	}
	if w.cluster, err = cluster.Open(root, filepath.Join(w.dir, "dev"), io.Discard); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	if err := w.cluster.UpControlPlane(ctx); err != nil {
		return nil, err
	}
	for _, step := range [][]string{
		{"apply", "--server-side", "-k", "config/crd"},
		{"wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"},
		{"apply", "--server-side", "-k", "config/rbac"},
		// One of several replicas holds a lease.
		{"apply", "--server-side", "-f", "config/overlays/postgres/role.yaml", "-f", "config/overlays/postgres/role_binding.yaml"},
	} {
		if _, err := w.cluster.Kubectl(ctx, step...); err != nil {
			return nil, err
		}
	}
	if err := w.writeKubeconfig(ctx); err != nil {
		return nil, err
	}
	if w.ports, err = freePorts(ctx); err != nil {
		return nil, err
	}
	return w, w.connectSources(ctx)
}

func (w *world) end() error {
	err := w.cluster.Down()
	w.cluster.Close()
	return errors.Join(err, os.RemoveAll(w.dir))
}

// build links the manager that the tests torture, where the next run finds it.
func (w *world) build(ctx context.Context) error {
	binary, err := filepath.Abs(filepath.Join(root, "bin", "torture", "manager"))
	if err != nil {
		return err
	}
	w.binary = binary
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, ".")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the manager: %w\n%s", err, output)
	}
	return nil
}

func (w *world) writeKubeconfig(ctx context.Context) error {
	token, err := w.cluster.Kubectl(ctx, "create", "token", "audit-operator", "-n", namespace, "--duration=24h")
	if err != nil {
		return err
	}
	admin, err := w.cluster.Config()
	if err != nil {
		return err
	}
	if err := rest.LoadTLSFiles(admin); err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData}
	config.AuthInfos["c"] = &clientcmdapi.AuthInfo{Token: strings.TrimSpace(token)}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}
	config.CurrentContext = "c"
	w.kubeconfig = filepath.Join(w.dir, "kubeconfig")
	return clientcmd.WriteToFile(*config, w.kubeconfig)
}

// connectSources has a manager make the credentials that all later ones accept.
func (w *world) connectSources(ctx context.Context) error {
	api, err := w.cluster.Client()
	if err != nil {
		return err
	}
	for _, name := range sourceNames {
		if err := api.Create(ctx, auditSource(name)); err != nil {
			return err
		}
	}
	m, err := w.start(ctx, folder(filepath.Join(w.dir, "first")))
	if err != nil {
		return err
	}
	for _, name := range sourceNames {
		if err := poll(ctx, time.Minute, func() error { return w.readSource(ctx, api, name) }); err != nil {
			return errors.Join(err, m.kill())
		}
	}
	return m.kill()
}

func auditSource(name string) *v1alpha1.AuditSource {
	return &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuditSourceSpec{Cluster: clusterName}}
}

// connectLate has the running manager connect one more source.
func (w *world) connectLate(ctx context.Context) error {
	api, err := w.cluster.Client()
	if err != nil {
		return err
	}
	if err := api.Create(ctx, auditSource("late")); err != nil {
		return err
	}
	return poll(ctx, time.Minute, func() error { return w.readSource(ctx, api, "late") })
}

func (w *world) readSource(ctx context.Context, api client.Client, name string) error {
	var s v1alpha1.AuditSource
	if err := api.Get(ctx, client.ObjectKey{Name: name}, &s); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ReadyCondition) || s.Status.SecretRef == nil {
		return fmt.Errorf("the AuditSource %s is not ready", name)
	}
	var secret corev1.Secret
	if err := api.Get(ctx, client.ObjectKey{Namespace: s.Status.SecretRef.Namespace, Name: s.Status.SecretRef.Name}, &secret); err != nil {
		return err
	}
	w.sources[name] = &source{name: name, token: string(secret.Data["token"]), authority: secret.Data["ca.crt"]}
	return nil
}

// poll tries until it succeeds, and returns the last error when time is up.
func poll(ctx context.Context, atMost time.Duration, try func() error) error {
	end := time.After(atMost)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-end:
			return fmt.Errorf("after %v: %w", atMost, err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// await waits for a condition that comes true soon.
func await(t *testing.T, condition func() bool) {
	t.Helper()
	if err := poll(t.Context(), 30*time.Second, func() error {
		if !condition() {
			return errors.New("the condition does not hold")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func freePorts(ctx context.Context) (p ports, err error) {
	for _, address := range []*string{&p.ingest, &p.dashboard, &p.health} {
		if *address, err = freeAddress(ctx); err != nil {
			return p, err
		}
	}
	return p, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
