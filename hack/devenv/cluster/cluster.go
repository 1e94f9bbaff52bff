// Package cluster runs a real etcd and kube-apiserver on loopback, with the
// operator beside them as it runs in a cluster: by its own service account,
// receiving the API server's audit events by webhook.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

// Names of the processes, which their logs bear too.
const (
	etcd            = "etcd"
	apiServer       = "kube-apiserver"
	sampleAPIServer = "sample-apiserver"
	operator        = "operator"
	secondOperator  = "operator-2" // over PostgreSQL
)

// Cluster is one dev environment: everything of it lies in one folder. It is
// locked from Open to Close.
type Cluster struct {
	root         string // the repository's top folder
	dir          string
	assets       string // holds etcd, kube-apiserver and kubectl
	sampleBinary string // the aggregated API server
	state        State
	database     database
	out          io.Writer
	started      time.Time
	release      func()
}

// Open reads what is known of the environment in dir. Progress goes to out.
func Open(root, dir string, out io.Writer) (*Cluster, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if !exists(filepath.Join(root, "config", "crd")) {
		return nil, fmt.Errorf("%s is not the repository's top folder; run this there", root)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	release, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{root: root, dir: dir, out: out, started: time.Now(), release: release}
	if c.state, err = readState(c.path("state.json")); err != nil {
		release()
		return nil, err
	}
	return c, nil
}

// Close lets others work on the environment. What runs goes on.
func (c *Cluster) Close() { c.release() }

type phase struct {
	text string
	run  func(context.Context) error
}

// Up brings up what does not run, and restarts what would run otherwise now.
func (c *Cluster) Up(ctx context.Context) error {
	return c.carryOut(ctx, slices.Concat(c.controlPlane(), []phase{
		{"Apply the CRDs and roles", c.applyConfig},
		{"Build the operator", c.buildOperator},
	}, c.databasePhases(), []phase{
		{"Start the operator", c.startOperator},
		{"Connect the API servers as AuditSources", c.connectSources},
		{"Have kube-apiserver send its audit events", c.startAPIServer},
		{"Find sample-apiserver", c.findSampleAPIServer},
		{"Start sample-apiserver, which sends its own", c.startSampleAPIServer},
	}))
}

// UpControlPlane brings up etcd and kube-apiserver alone.
func (c *Cluster) UpControlPlane(ctx context.Context) error { return c.carryOut(ctx, c.controlPlane()) }

func (c *Cluster) controlPlane() []phase {
	return []phase{
		{"Find etcd, kube-apiserver and kubectl", c.findAssets},
		{"Prepare certificates and ports", c.prepare},
		{"Start etcd", c.startEtcd},
		{"Start kube-apiserver", c.startAPIServer},
	}
}

func (c *Cluster) carryOut(ctx context.Context, phases []phase) error {
	for _, p := range phases {
		c.progress("%s", p.text)
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.text, err)
		}
	}
	return nil
}

// Stop stops what runs. The API servers go first, so that they can still send
// what they have buffered; etcd, which all need, last.
func (c *Cluster) Stop() error {
	return errors.Join(c.StopAPIServers(), c.stop(operator), c.stop(secondOperator), c.stop(etcd))
}

// Down stops what runs and removes the folder.
func (c *Cluster) Down() error {
	if err := c.Stop(); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == lockFile {
			continue
		}
		if err := os.RemoveAll(c.path(entry.Name())); err != nil {
			return err
		}
	}
	// The lock goes last: from then on the folder may be another's.
	if err := os.Remove(c.path(lockFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(c.dir) // fails where another has begun anew in it
	return nil
}

// StopAPIServers ends the API servers, which send what they have buffered first.
func (c *Cluster) StopAPIServers() error {
	var problems []error
	for _, s := range APIServers {
		problems = append(problems, c.stop(s.name))
	}
	return errors.Join(problems...)
}

// StartAPIServers starts them again as they ran before.
func (c *Cluster) StartAPIServers(ctx context.Context) error {
	if err := c.startAPIServer(ctx); err != nil {
		return err
	}
	return c.startSampleAPIServer(ctx)
}

// path is that of a file in the environment's folder.
func (c *Cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

func (c *Cluster) logPath(name string) string { return c.path("logs", name+".log") }

// Dir is the folder that everything lies in.
func (c *Cluster) Dir() string { return c.dir }

// Kubeconfig is the administrator's.
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

// DashboardURL is the dashboard's address.
func (c *Cluster) DashboardURL() string { return local("http", c.state.Ports.Replicas[0].Dashboard) }

// Config is the administrator's.
func (c *Cluster) Config() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // the API server limits enough
	return config, nil
}

// User returns the config of another user, who may do what RBAC says.
func (c *Cluster) User(name string, groups ...string) (*rest.Config, error) {
	if err := issueUser(c.path("certs"), "user-"+name, name, groups); err != nil {
		return nil, err
	}
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.CertFile, anonymous.KeyFile = c.path("certs", "user-"+name+".crt"), c.path("certs", "user-"+name+".key")
	return anonymous, nil
}

func (c *Cluster) progress(format string, args ...any) {
	fmt.Fprintf(c.out, "%6.1fs  %s\n", time.Since(c.started).Seconds(), fmt.Sprintf(format, args...))
}

// record remembers a process before anything else can go wrong with it.
func (c *Cluster) record(name string, r process.Record) error {
	c.state.Processes[name] = r
	return c.state.write(c.path("state.json"))
}

func local(scheme string, port int) string {
	return fmt.Sprintf("%s://%s", scheme, address(port))
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
