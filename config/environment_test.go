// Package config_test applies what ships to a real API server, and runs the
// operator there as it says.
package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// What config/default installs.
const (
	operatorNamespace = "audit-system"
	operatorName      = "audit-operator"
)

// The same policy as the operator recommends to every API server.
const policy = `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}`

// world is one real API server that logs who asks for what, with
// config/default applied, for all tests.
var world struct {
	*apiserver
	admin   client.Client
	kube    kubernetes.Interface
	log     string // the API server's own audit log
	manager func() (string, error)
}

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == confined {
		must(becomeConfined(os.Args[2], os.Args[3:]))
	}
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		panic("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	log.SetLogger(logr.Discard())
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "config-test-")
	must(err)
	defer os.RemoveAll(dir)
	world.manager = sync.OnceValues(func() (string, error) { return buildManager(filepath.Join(dir, "manager")) })
	world.log = filepath.Join(dir, "audit.log")
	world.apiserver, err = startAPIServer(dir, world.log)
	must(err)
	defer func() { must(world.stop()) }()

	scheme := runtime.NewScheme()
	must(errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	world.admin, err = client.New(world.config, client.Options{Scheme: scheme})
	must(err)
	world.kube, err = kubernetes.NewForConfig(world.config)
	must(err)
	_, err = world.kubectl(context.Background(), "apply", "-k", "default")
	must(err)
	return m.Run()
}

// apiserver is a real one, and its administrator.
type apiserver struct {
	config     *rest.Config
	kubeconfig string
	stop       func() error
}

// startAPIServer keeps its files in dir, and its audit log where it is told.
func startAPIServer(dir, auditLog string) (*apiserver, error) {
	policyFile := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policyFile, []byte(policy), 0o600); err != nil {
		return nil, err
	}
	env := &envtest.Environment{}
	env.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", policyFile).
		Append("audit-log-path", auditLog).
		Append("shutdown-watch-termination-grace-period", "1s")
	config, err := env.Start()
	if err != nil {
		return nil, err
	}
	user, err := env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	a := &apiserver{config: config, kubeconfig: filepath.Join(dir, "kubeconfig"), stop: env.Stop}
	return a, os.WriteFile(a.kubeconfig, kubeconfig, 0o600)
}

// kubectl runs in config/ as the administrator.
func (a *apiserver) kubectl(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+a.kubeconfig)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w\n%s", args, err, stderr.String())
	}
	return string(out), nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
