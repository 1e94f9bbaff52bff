package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// manager is a running one.
type manager struct {
	*world
	ports   ports
	command *exec.Cmd
	log     string
	ended   chan struct{} // closed once it has ended
}

// start runs a manager over a store and returns once it is ready.
func (w *world) start(ctx context.Context, over storage, flags ...string) (*manager, error) {
	return w.startAt(ctx, w.ports, over, flags...)
}

// startAt is start at other ports: several managers run at once.
func (w *world) startAt(ctx context.Context, at ports, over storage, flags ...string) (*manager, error) {
	_, port, err := net.SplitHostPort(at.health)
	if err != nil {
		return nil, err
	}
	m := &manager{world: w, ports: at, log: filepath.Join(w.dir, "manager-"+port+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m.command = exec.CommandContext(context.WithoutCancel(ctx), w.binary, append([]string{
		"--kubeconfig=" + w.kubeconfig, "--namespace=" + namespace, "--cluster-name=" + clusterName, over.flag(),
		"--ingest-bind-address=" + at.ingest, "--ingest-url=https://" + w.ports.ingest,
		"--record-views=false", "--dashboard-bind-address=" + at.dashboard, "--health-probe-bind-address=" + at.health,
	}, flags...)...)
	m.command.Stdout, m.command.Stderr = log, log
	if err := m.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = m.command.Wait() // its state says how it ended
		close(m.ended)
	}()
	err = poll(ctx, 30*time.Second, func() error {
		if !m.alive() {
			return nil
		}
		return m.reachable(ctx)
	})
	if err == nil && !m.alive() {
		err = fmt.Errorf("it ended: %v", m.command.ProcessState)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the manager is not ready: %w\n%s", err, m.tail()), m.kill())
	}
	return m, nil
}

// mustStart is start for scenarios. The manager ends with the test.
func (w *world) mustStart(t *testing.T, over storage, flags ...string) *manager {
	t.Helper()
	return w.mustStartAt(t, w.ports, over, flags...)
}

func (w *world) mustStartAt(t *testing.T, at ports, over storage, flags ...string) *manager {
	t.Helper()
	m, err := w.startAt(t.Context(), at, over, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.kill(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *manager) reachable(ctx context.Context) error {
	if err := m.ready(ctx); err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.ports.ingest)
	if err != nil {
		return err
	}
	return conn.Close()
}

var errNotReady = errors.New("the probe says not ready")

// ready asks the readiness probe.
func (m *manager) ready(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.ports.health+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errNotReady, response.Status)
	}
	return nil
}

// kill ends it without a chance to do anything.
func (m *manager) kill() error {
	select {
	case <-m.ended:
		return nil
	default:
	}
	if err := m.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-m.ended
	return nil
}

// terminate asks it to end, and returns its exit code and how long it took.
func (m *manager) terminate(atMost time.Duration) (code int, took time.Duration, err error) {
	began := time.Now()
	if err := m.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	select {
	case <-m.ended:
		return m.command.ProcessState.ExitCode(), time.Since(began), nil
	case <-time.After(atMost):
		return 0, 0, fmt.Errorf("it did not end within %v\n%s", atMost, m.tail())
	}
}

// outcome is an answer, or why there was none.
func outcome(status int, err error) string {
	if err != nil {
		return err.Error()
	}
	return strconv.Itoa(status)
}

func (m *manager) alive() bool {
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// tail is the end of its log.
func (m *manager) tail() string {
	content, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-2000):])
}

// logged returns how often the log has a text.
func (m *manager) logged(text string) int {
	content, err := os.ReadFile(m.log)
	if err != nil {
		return -1
	}
	return bytes.Count(content, []byte(text))
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that it ever had in memory, in bytes.
func (m *manager) peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(m.command.Process.Pid) + "/status")
	if err != nil {
		return 0, err
	}
	match := peak.FindSubmatch(status)
	if match == nil {
		return 0, errors.New("/proc/<pid>/status has no VmHWM")
	}
	kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	return kilobytes << 10, err
}
