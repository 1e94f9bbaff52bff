package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
func (c *Cluster) Client() (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme})
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
	kubeconfig := c.path("operator.kubeconfig")
	if !exists(kubeconfig) {
		token, err := c.Kubectl(ctx, "create", "token", "audit-operator", "-n", operatorNamespace, "--duration=8760h")
		if err != nil {
			return err
		}
		user := &clientcmdapi.AuthInfo{Token: strings.TrimSpace(token)}
		if err := c.writeKubeconfig(kubeconfig, "audit-operator", user); err != nil {
			return err
		}
	}
	source, err := c.Source()
	if err != nil {
		return err
	}
	ports := c.state.Ports
	spec := process.Spec{
		Name: operator, Binary: c.path("bin", "manager"), Log: c.logPath(operator), Inputs: []string{kubeconfig},
		Args: []string{
			"--kubeconfig=" + kubeconfig,
			"--namespace=" + operatorNamespace,
			"--data-dir=" + c.path("data"),
			"--cluster-name=" + source.Spec.Cluster,
			"--ingest-bind-address=" + address(ports.Ingest),
			"--ingest-url=" + local("https", ports.Ingest),
			"--dashboard-bind-address=" + address(ports.Dashboard),
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

// connectSource writes the files that the operator has made for the API server.
func (c *Cluster) connectSource(ctx context.Context) error {
	if _, err := c.Kubectl(ctx, apply("-k", "config/samples/source")...); err != nil {
		return err
	}
	source, err := c.Source()
	if err != nil {
		return err
	}
	api, err := c.Client()
	if err != nil {
		return err
	}
	err = c.await(ctx, operator, time.Minute, func(ctx context.Context) error {
		if err := api.Get(ctx, client.ObjectKeyFromObject(source), source); err != nil {
			return err
		}
		return sourceReady(source)
	})
	if err != nil {
		return err
	}
	reference := source.Status.SecretRef
	var secret corev1.Secret
	if err := api.Get(ctx, client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}, &secret); err != nil {
		return err
	}
	for _, required := range []string{"kubeconfig", "policy.yaml", "ca.crt"} {
		if len(secret.Data[required]) == 0 {
			return fmt.Errorf("the Secret %s/%s lacks %s", secret.Namespace, secret.Name, required)
		}
	}
	for name, data := range secret.Data {
		// The kubeconfig makes the API server ask for the others: it comes last.
		if name == "kubeconfig" {
			continue
		}
		if err := writeFile(c.path("audit", name), data); err != nil {
			return err
		}
	}
	return writeFile(c.path("audit", "kubeconfig"), secret.Data["kubeconfig"])
}

func sourceReady(source *v1alpha1.AuditSource) error {
	ready := meta.FindStatusCondition(source.Status.Conditions, v1alpha1.ReadyCondition)
	switch {
	case ready == nil || source.Status.ObservedGeneration != source.Generation:
		return fmt.Errorf("the operator has not looked at the AuditSource %s", source.Name)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Errorf("the AuditSource %s is not ready: %s: %s", source.Name, ready.Reason, ready.Message)
	case source.Status.SecretRef == nil:
		return fmt.Errorf("the AuditSource %s is ready, but names no Secret", source.Name)
	}
	return nil
}
