package cluster

import (
	"context"
	_ "embed"
	"errors"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

const operatorNamespace = "audit-system"

// OperatorUser is how the API server knows the operator.
const OperatorUser = "system:serviceaccount:" + operatorNamespace + ":audit-operator"

// Who wants to sign in to the dashboard takes a token of this service account.
const (
	AuditorNamespace = "default"
	AuditorName      = "auditor"
)

//go:embed auditor.yaml
var auditor []byte

// Client returns the administrator's, which knows the operator's resources.
func (c *Cluster) Client() (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

func (c *Cluster) applyConfig(ctx context.Context) error {
	manifest := c.path("auditor.yaml")
	if err := writeFile(manifest, auditor); err != nil {
		return err
	}
	steps := [][]string{
		apply("-k", "config/crd"),
		{"wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"},
		apply("-k", "config/rbac"),
		apply("-f", manifest),
	}
	if c.database.used() {
		const overlay = "config/overlays/postgres/"
		steps = append(steps, apply("-f", overlay+"role.yaml", "-f", overlay+"role_binding.yaml"))
	}
	for _, step := range steps {
		if _, err := c.Kubectl(ctx, step...); err != nil {
			return err
		}
	}
	return nil
}

func apply(args ...string) []string {
	return append([]string{"apply", "--server-side", "--force-conflicts"}, args...)
}

func (c *Cluster) buildOperator(ctx context.Context) error {
	// Without the commit in it, the binary changes only when the code does.
	_, err := c.command(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", c.path("bin", "manager"), ".")
	return err
}

// startOperator runs it by its own service account, so that a right that its
// roles lack is missed here too.
func (c *Cluster) startOperator(ctx context.Context) error {
	if err := c.startReplica(ctx, operator, c.state.Ports.Replicas[0]); err != nil || !c.database.used() {
		return err
	}
	return c.startReplica(ctx, secondOperator, c.state.Ports.Replicas[1])
}

func (c *Cluster) startReplica(ctx context.Context, name string, ports ReplicaPorts) error {
	kubeconfig := c.path("operator.kubeconfig")
	if err := c.ensureKubeconfigOf(ctx, kubeconfig, operatorNamespace, "audit-operator"); err != nil {
		return err
	}
	source, err := c.Source(KubeAPIServer)
	if err != nil {
		return err
	}
	store := "--data-dir=" + c.OperatorData()
	if c.database.used() {
		store = "--store=" + c.database.operator
	}
	spec := process.Spec{
		Name: name, Binary: c.path("bin", "manager"), Log: c.logPath(name), Inputs: []string{kubeconfig},
		Args: []string{
			"--kubeconfig=" + kubeconfig,
			"--namespace=" + operatorNamespace,
			store,
			"--cluster-name=" + source.Spec.Cluster,
			"--ingest-bind-address=" + address(ports.Ingest),
			"--ingest-url=" + local("https", c.state.Ports.Replicas[0].Ingest),
			"--record-views=false", "--dashboard-bind-address=" + address(ports.Dashboard),
			"--dashboard-url=" + c.DashboardURL(),
			"--health-probe-bind-address=" + address(ports.Health),
			"--metrics-bind-address=0",
			"--event-retention=720h",
		},
	}
	return c.ensure(ctx, spec, func(ctx context.Context) error {
		return get(ctx, http.DefaultClient, local("http", ports.Health)+"/readyz")
	})
}

// RestartOperator ends the operator and starts it again.
func (c *Cluster) RestartOperator(ctx context.Context) error {
	if err := c.stop(operator); err != nil {
		return err
	}
	return c.startOperator(ctx)
}

// OperatorPID is the process of the operator that runs.
func (c *Cluster) OperatorPID() int { return c.state.Processes[operator].PID }

// OperatorData is the folder of the operator's store.
func (c *Cluster) OperatorData() string { return c.path("data") }

// ensureKubeconfigOf writes a service account's, unless it is there.
func (c *Cluster) ensureKubeconfigOf(ctx context.Context, path, namespace, name string) error {
	if exists(path) {
		return nil
	}
	token, err := c.Kubectl(ctx, "create", "token", name, "-n", namespace, "--duration=8760h")
	if err != nil {
		return err
	}
	return c.writeKubeconfig(path, name, &clientcmdapi.AuthInfo{Token: strings.TrimSpace(token)})
}
