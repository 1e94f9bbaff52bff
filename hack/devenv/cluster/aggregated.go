package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"k8s.io/client-go/rest"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

// How aggregated.yaml calls the aggregated API server.
const (
	sampleNamespace  = "wardle"
	sampleService    = "sample-apiserver"
	sampleAPIService = "v1beta1.wardle.example.com"
)

//go:embed aggregated.yaml
var aggregated string

// startSampleAPIServer has kube-apiserver pass requests on to an API server
// that runs as one does in a cluster: by its own service account, trusting
// kube-apiserver's word for who the caller is.
func (c *Cluster) startSampleAPIServer(ctx context.Context) error {
	if err := c.registerSampleAPIServer(ctx); err != nil {
		return err
	}
	kubeconfig := c.path("sample-apiserver.kubeconfig")
	if err := c.ensureKubeconfigOf(ctx, kubeconfig, sampleNamespace, "sample-apiserver"); err != nil {
		return err
	}
	certs, port := c.path("certs"), c.state.Ports.SampleAPIServer
	spec := process.Spec{
		Name: sampleAPIServer, Binary: c.sampleBinary, Log: c.logPath(sampleAPIServer), Inputs: []string{kubeconfig},
		Args: []string{
			"--etcd-servers=" + local("http", c.state.Ports.Etcd),
			"--etcd-prefix=/registry/wardle.example.com",
			"--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port),
			"--tls-cert-file=" + filepath.Join(certs, "sample-apiserver.crt"),
			"--tls-private-key-file=" + filepath.Join(certs, "sample-apiserver.key"),
			"--kubeconfig=" + kubeconfig,
			"--authentication-kubeconfig=" + kubeconfig,
			"--authorization-kubeconfig=" + kubeconfig,
		},
	}
	c.auditing(SampleAPIServer, &spec)
	config, err := c.Config()
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return err
	}
	err = c.ensure(ctx, spec, func(ctx context.Context) error { return get(ctx, client, local("https", port)+"/readyz") })
	if err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+sampleAPIService)
	return err
}

func (c *Cluster) registerSampleAPIServer(ctx context.Context) error {
	ca, err := os.ReadFile(c.path("certs", "ca.crt"))
	if err != nil {
		return err
	}
	parsed, err := template.New("aggregated.yaml").Parse(aggregated)
	if err != nil {
		return err
	}
	var manifest bytes.Buffer
	err = parsed.Execute(&manifest, map[string]any{
		"CABundle": base64.StdEncoding.EncodeToString(ca), "Port": c.state.Ports.SampleAPIServer,
	})
	if err != nil {
		return err
	}
	file := c.path("aggregated.yaml")
	if err := writeFile(file, manifest.Bytes()); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, apply("-f", file)...)
	return err
}
