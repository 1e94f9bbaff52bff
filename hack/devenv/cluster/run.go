package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/hack/devenv/process"
)

// Stopping takes as long as what a process still has to send or write.
const grace = time.Minute

// ProcessError tells what a process of the environment did wrong. Its log says why.
type ProcessError struct {
	Name string
	Log  string
	Err  error
}

func (e *ProcessError) Error() string { return e.Name + ": " + e.Err.Error() }

func (e *ProcessError) Unwrap() error { return e.Err }

// Tail returns the last lines of the process's log.
func (e *ProcessError) Tail(lines int) string {
	data, err := os.ReadFile(e.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// ensure makes a process run as specified: it is left alone where it does,
// else started (anew). It returns when ready succeeds.
func (c *Cluster) ensure(ctx context.Context, spec process.Spec, ready func(context.Context) error) error {
	digest, err := spec.Digest()
	if err != nil {
		return err
	}
	if old := c.state.Processes[spec.Name]; !old.Alive() || old.Digest != digest {
		if err := c.stop(spec.Name); err != nil {
			return err
		}
		started, err := process.Start(spec)
		if err != nil {
			return &ProcessError{spec.Name, spec.Log, err}
		}
		if err := c.record(spec.Name, started); err != nil {
			_, stopErr := started.Stop(grace)
			return errors.Join(err, stopErr)
		}
	}
	return c.await(ctx, spec.Name, 90*time.Second, ready)
}

func (c *Cluster) stop(name string) error {
	running := c.state.Processes[name]
	if running.Alive() {
		c.progress("Stop %s", name)
	}
	killed, err := running.Stop(grace)
	if err != nil {
		return &ProcessError{name, c.logPath(name), err}
	}
	if killed {
		c.progress("%s did not end within %v and was killed; its log is %s", name, grace, c.logPath(name))
	}
	if _, known := c.state.Processes[name]; !known {
		return nil
	}
	delete(c.state.Processes, name)
	return c.state.write(c.path("state.json"))
}

// await tries until it succeeds. It gives up when time is up or the process
// that it depends on ended.
func (c *Cluster) await(ctx context.Context, name string, atMost time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if !c.state.Processes[name].Alive() {
			return &ProcessError{name, c.logPath(name), errors.New("it ended by itself")}
		}
		err := try(ctx)
		if err == nil {
			return nil
		}
		// The end of time itself says less than what failed before it.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return &ProcessError{name, c.logPath(name), fmt.Errorf("not ready after %v: %w", atMost, last)}
		case <-tick.C:
		}
	}
}

// get succeeds when the address answers 200.
func get(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", url, response.Status, strings.TrimSpace(string(body)))
	}
	return nil
}

// Kubectl runs kubectl as the administrator and returns what it prints.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.command(ctx, filepath.Join(c.assets, "kubectl"), args...)
}

// KubectlPath is the folder to put on PATH.
func (c *Cluster) KubectlPath() string { return c.assets }

func (c *Cluster) command(ctx context.Context, name string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = c.root
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(), "CGO_ENABLED=1")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err,
			strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
