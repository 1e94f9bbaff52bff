package v1alpha1_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// server is one real apiserver with the CRDs, for all tests of the package.
var server struct {
	once       sync.Once
	env        *envtest.Environment
	client     client.Client
	kubeconfig string
	err        error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.env != nil {
		if err := server.env.Stop(); err != nil {
			os.Stderr.WriteString("stop the apiserver: " + err.Error() + "\n")
			code = 1
		}
	}
	os.Remove(server.kubeconfig)
	os.Exit(code)
}

func apiserver(t *testing.T) client.Client {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	server.once.Do(func() { server.err = startServer() })
	if server.err != nil {
		t.Fatalf("start the apiserver: %v", server.err)
	}
	return server.client
}

func startServer() error {
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	if err != nil {
		return err
	}
	server.env = env
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	if server.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	admin, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := admin.KubeConfig()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "kubeconfig-")
	if err != nil {
		return err
	}
	defer file.Close()
	server.kubeconfig = file.Name()
	_, err = file.Write(kubeconfig)
	return err
}

// kubectl runs the real kubectl from the top folder and returns what it printed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, err := runKubectl(t, args...)
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s%s", args, err, stdout, stderr)
	}
	return stdout
}

func runKubectl(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	apiserver(t)
	command := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), args...)
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "KUBECONFIG="+server.kubeconfig)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err = command.Run()
	return out.String(), problems.String(), err
}

// object makes an object of a kind from the YAML of its spec.
func object(t *testing.T, kind, name, spec string) *unstructured.Unstructured {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatalf("spec %s: %v", spec, err)
	}
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	o.SetName(name)
	if kind == "AuditLogQuery" {
		o.SetNamespace("default")
	}
	if fields != nil {
		o.Object["spec"] = fields
	}
	return o
}
