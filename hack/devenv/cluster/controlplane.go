package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

func (c *Cluster) findAssets(ctx context.Context) (err error) {
	c.assets, err = c.find(ctx)
	return err
}

func (c *Cluster) findSampleAPIServer(ctx context.Context) error {
	folder, err := c.find(ctx, sampleAPIServer)
	c.sampleBinary = filepath.Join(folder, sampleAPIServer)
	return err
}

// find asks the script, which tells about its own progress.
func (c *Cluster) find(ctx context.Context, args ...string) (folder string, err error) {
	command := exec.CommandContext(ctx, filepath.Join(c.root, "hack", "controlplane.sh"), args...)
	var stdout bytes.Buffer
	command.Stdout, command.Stderr = &stdout, c.out
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("hack/controlplane.sh: %w", err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

func (c *Cluster) prepare(context.Context) error {
	if err := c.state.Ports.choose(); err != nil {
		return err
	}
	if err := c.state.write(c.path("state.json")); err != nil {
		return err
	}
	certs := c.path("certs")
	if err := ensureCerts(certs); err != nil {
		return err
	}
	if !exists(c.Kubeconfig()) {
		// system:masters may do everything, whatever RBAC holds.
		if err := issueUser(certs, "admin", "admin", []string{"system:masters"}); err != nil {
			return err
		}
		certificate, err := os.ReadFile(filepath.Join(certs, "admin.crt"))
		if err != nil {
			return err
		}
		key, err := os.ReadFile(filepath.Join(certs, "admin.key"))
		if err != nil {
			return err
		}
		user := &clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}
		if err := c.writeKubeconfig(c.Kubeconfig(), "admin", user); err != nil {
			return err
		}
	}
	return writeFile(c.path("dashboard-url"), []byte(c.DashboardURL()+"\n"))
}

// writeKubeconfig writes one that needs no other file.
func (c *Cluster) writeKubeconfig(path, name string, user *clientcmdapi.AuthInfo) error {
	ca, err := os.ReadFile(c.path("certs", "ca.crt"))
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["dev"] = &clientcmdapi.Cluster{
		Server: local("https", c.state.Ports.APIServer), CertificateAuthorityData: ca,
	}
	config.AuthInfos[name] = user
	config.Contexts["dev"] = &clientcmdapi.Context{Cluster: "dev", AuthInfo: name}
	config.CurrentContext = "dev"
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	client, peer := local("http", c.state.Ports.Etcd), local("http", c.state.Ports.EtcdPeer)
	spec := process.Spec{
		Name: etcd, Binary: filepath.Join(c.assets, "etcd"), Log: c.logPath(etcd),
		Args: []string{
			"--name=dev",
			"--data-dir=" + c.path("etcd"),
			"--listen-client-urls=" + client,
			"--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer,
			"--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=dev=" + peer,
			"--unsafe-no-fsync", // what is lost with the machine can be made anew
			"--log-level=warn",
		},
	}
	return c.ensure(ctx, spec, func(ctx context.Context) error {
		return get(ctx, http.DefaultClient, client+"/health")
	})
}

func (c *Cluster) startAPIServer(ctx context.Context) error {
	certs := c.path("certs")
	spec := process.Spec{
		Name: apiServer, Binary: filepath.Join(c.assets, "kube-apiserver"), Log: c.logPath(apiServer),
		Args: []string{
			"--etcd-servers=" + local("http", c.state.Ports.Etcd),
			"--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", c.state.Ports.APIServer),
			"--tls-cert-file=" + filepath.Join(certs, "apiserver.crt"),
			"--tls-private-key-file=" + filepath.Join(certs, "apiserver.key"),
			"--client-ca-file=" + filepath.Join(certs, "ca.crt"),
			"--authorization-mode=RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + filepath.Join(certs, "service-accounts.key"),
			"--service-account-signing-key-file=" + filepath.Join(certs, "service-accounts.key"),
			"--service-cluster-ip-range=10.0.0.0/24",
			// How it tells an aggregated API server who the caller is.
			"--proxy-client-cert-file=" + filepath.Join(certs, "front-proxy.crt"),
			"--proxy-client-key-file=" + filepath.Join(certs, "front-proxy.key"),
			"--requestheader-client-ca-file=" + filepath.Join(certs, "front-proxy-ca.crt"),
			"--requestheader-allowed-names=" + frontProxy,
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			// Nothing here answers for the Service kubernetes, and no
			// controller makes the default service accounts.
			"--endpoint-reconciler-type=none",
			"--disable-admission-plugins=ServiceAccount",
			// Ends the watches at once instead of waiting a minute for their clients.
			"--shutdown-watch-termination-grace-period=2s",
		},
	}
	c.auditing(KubeAPIServer, &spec)
	config, err := c.Config()
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	return c.ensure(ctx, spec, func(ctx context.Context) error {
		return get(ctx, client, config.Host+"/readyz")
	})
}
