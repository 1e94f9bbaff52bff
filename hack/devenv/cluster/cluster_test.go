package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

func open(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Open(filepath.Join("..", "..", ".."), dir, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// controlPlane brings up all but the operator, in a folder of its own.
func controlPlane(t *testing.T) *Cluster {
	t.Helper()
	c := open(t, filepath.Join(t.TempDir(), "dev"))
	t.Cleanup(func() {
		if err := c.Down(); err != nil {
			t.Error(err)
		}
		c.Close()
	})
	if err := c.UpControlPlane(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestControlPlaneComesUpAgainAndGoes(t *testing.T) {
	c := controlPlane(t)
	if _, err := c.Kubectl(t.Context(), "create", "namespace", "kept"); err != nil {
		t.Fatal(err)
	}
	first := map[string]process.Record{etcd: c.state.Processes[etcd], apiServer: c.state.Processes[apiServer]}
	again := func() {
		t.Helper()
		c.Close()
		*c = *open(t, c.Dir()) // so that the end of the test stops what runs now
		if err := c.UpControlPlane(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	again()
	for name, record := range first {
		if got := c.state.Processes[name]; got != record {
			t.Errorf("%s was restarted without need: %+v, before %+v", name, got, record)
		}
	}

	// What died is started anew, and nothing else.
	if _, err := c.state.Processes[apiServer].Stop(grace); err != nil {
		t.Fatal(err)
	}
	again()
	if got := c.state.Processes[apiServer]; got == first[apiServer] || !got.Alive() {
		t.Errorf("kube-apiserver that died is now %+v", got)
	}
	if got := c.state.Processes[etcd]; got != first[etcd] {
		t.Errorf("etcd was restarted without need: %+v", got)
	}
	if _, err := c.Kubectl(t.Context(), "get", "namespace", "kept"); err != nil {
		t.Error(err)
	}

	last := c.state.Processes
	if err := c.Down(); err != nil {
		t.Fatal(err)
	}
	for name, record := range last {
		if record.Alive() {
			t.Errorf("%s still runs", name)
		}
	}
	if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", c.Dir(), err)
	}
	// The end of the test does it a second time, which must be harmless.
}

func TestUsersHaveTheRightsOfRBACAlone(t *testing.T) {
	c := controlPlane(t)
	config, err := c.User("alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if config.CertData != nil || config.BearerToken != "" {
		t.Error("the user keeps the administrator's credentials")
	}
	out, err := c.Kubectl(t.Context(), "--kubeconfig=/dev/null", "--server="+config.Host,
		"--certificate-authority="+c.path("certs", "ca.crt"), "--client-certificate="+config.CertFile,
		"--client-key="+config.KeyFile, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if err != nil || out != "alice@example.com" {
		t.Errorf("the API server knows the user as %q, %v", out, err)
	}
}

func TestTellsWhatAProcessSaidWhenItFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dev")
	c := open(t, dir)
	defer c.Close()
	spec := process.Spec{Name: etcd, Binary: "/bin/sh", Args: []string{"-c", "echo the disk is full; exit 1"}, Log: c.logPath(etcd)}
	began := time.Now()
	err := c.ensure(t.Context(), spec, func(context.Context) error { return errors.New("no answer") })
	var failed *ProcessError
	if !errors.As(err, &failed) || failed.Name != etcd || !strings.Contains(failed.Tail(5), "the disk is full") {
		t.Errorf("error = %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it was waited for, for %v", took)
	}
}

func TestOneCommandAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dev")
	c := open(t, dir)
	if _, err := Open(filepath.Join("..", "..", ".."), dir, t.Output()); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open = %v; want ErrLocked", err)
	}
	c.Close()
	open(t, dir).Close()
}
