package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

// APIServer is a process that answers API requests and audits them.
type APIServer struct {
	name   string // of the process
	source string // of its AuditSource, which is one of config/samples/source
}

// The environment's API servers.
var (
	KubeAPIServer   = APIServer{apiServer, "control-plane-1"}
	SampleAPIServer = APIServer{sampleAPIServer, "sample-apiserver"}
)

// APIServers lists them in the order in which they are to be stopped: what
// passes requests on comes before what answers them.
var APIServers = []APIServer{KubeAPIServer, SampleAPIServer}

// String is the name of the process.
func (s APIServer) String() string { return s.name }

// Source is the name of its AuditSource.
func (s APIServer) Source() string { return s.source }

// AuditFiles is the folder of what an API server needs to audit. It does so
// when the files are there at its start.
func (c *Cluster) AuditFiles(s APIServer) string { return c.path("audit", s.source) }

// AuditLog is the file that an API server writes its events to, beside sending
// them.
func (c *Cluster) AuditLog(s APIServer) string { return c.path("logs", s.name+".audit.log") }

// Source returns the AuditSource of an API server, as it is applied.
func (c *Cluster) Source(s APIServer) (*v1alpha1.AuditSource, error) {
	file := s.source + ".yaml"
	data, err := os.ReadFile(filepath.Join(c.root, "config", "samples", "source", file))
	if err != nil {
		return nil, err
	}
	source := &v1alpha1.AuditSource{}
	if err := yaml.UnmarshalStrict(data, source); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return source, nil
}

// auditing makes an API server audit, if there are files for it: it would not
// start without them, and who makes them needs an API server.
func (c *Cluster) auditing(s APIServer, spec *process.Spec) {
	file := func(name string) string { return filepath.Join(c.AuditFiles(s), name) }
	policy, kubeconfig := file("policy.yaml"), file("kubeconfig")
	if !exists(kubeconfig) {
		return
	}
	spec.Args = append(spec.Args,
		"--audit-policy-file="+policy,
		"--audit-webhook-config-file="+kubeconfig,
		"--audit-webhook-mode=batch",
		"--audit-webhook-batch-max-wait=1s",
		"--audit-webhook-batch-buffer-size=100000",
		"--audit-log-path="+c.AuditLog(s),
		"--audit-log-format=json",
		"--audit-log-maxsize=200",
		"--audit-log-maxbackup=2",
	)
	spec.Inputs = append(spec.Inputs, policy, kubeconfig, file("ca.crt"))
}

// connectSources writes the files that the operator makes for the API servers.
func (c *Cluster) connectSources(ctx context.Context) error {
	if _, err := c.Kubectl(ctx, apply("-k", "config/samples/source")...); err != nil {
		return err
	}
	api, err := c.Client()
	if err != nil {
		return err
	}
	for _, s := range APIServers {
		if err := c.connectSource(ctx, api, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) connectSource(ctx context.Context, api client.Client, s APIServer) error {
	source, err := c.Source(s)
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
		if err := writeFile(filepath.Join(c.AuditFiles(s), name), data); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(c.AuditFiles(s), "kubeconfig"), c.toReplica(s, secret.Data["kubeconfig"]))
}

// toReplica has an API server send to the second replica, where there is one
// and it is not the first API server. In a cluster a Service divides them up.
func (c *Cluster) toReplica(s APIServer, kubeconfig []byte) []byte {
	if s == KubeAPIServer || !c.database.used() {
		return kubeconfig
	}
	first, second := address(c.state.Ports.Replicas[0].Ingest), address(c.state.Ports.Replicas[1].Ingest)
	return bytes.ReplaceAll(kubeconfig, []byte(first), []byte(second))
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
