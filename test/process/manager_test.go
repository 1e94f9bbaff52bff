package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/cli"
	"github.com/porter-dev/audit-operator/internal/manager"
)

// asManager makes the test's binary the manager, so that tests can run it as
// the process that it is: with signals, a log and an exit code.
const asManager = "AUDIT_OPERATOR_TEST_AS_MANAGER"

func TestMain(m *testing.M) {
	if os.Getenv(asManager) != "" {
		os.Exit(cli.Main(os.Args[1:], cli.Standard(), manager.Main))
	}
	if err := os.Chdir("../.."); err != nil { // paths are relative to the root
		panic(err)
	}
	code := m.Run()
	if api != nil {
		if err := errors.Join(api.env.Stop(), os.RemoveAll(filepath.Dir(api.auditLog))); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// operator is a running one. Its addresses are on loopback.
type operator struct {
	namespace, dataDir             string
	ingest, pages, health, metrics string
	process                        *exec.Cmd
	log                            *safeBuffer
	terminated                     sync.Once
	killed                         bool          // by the test
	ended                          chan struct{} // closed when it has ended
	err                            error         // then
}

// startManager runs the manager with a namespace and a store of its own, until
// the test ends. Flags are added to those that it needs.
func (a *apiServer) startManager(t *testing.T, flags ...string) *operator {
	t.Helper()
	namespace := strings.ReplaceAll(strings.ToLower(t.Name()), "/", "-")
	a.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return a.startManagerOn(t, namespace, t.TempDir(), flags...)
}

// startManagerOn runs the manager with a namespace and a store that another one
// may have left.
func (a *apiServer) startManagerOn(t *testing.T, namespace, dataDir string, flags ...string) *operator {
	t.Helper()
	m := a.startManagerWith(t, namespace, append([]string{"--data-dir=" + dataDir}, flags...)...)
	m.dataDir = dataDir
	return m
}

// startManagerWith runs the manager with a store that flags name. Where another
// process took one of its addresses before it did, it starts once more with others.
func (a *apiServer) startManagerWith(t *testing.T, namespace string, flags ...string) *operator {
	t.Helper()
	m := a.launch(t, namespace, flags...)
	if !m.wait(func() bool { return m.ready(t) }) && m.lostAddress() {
		m = a.launch(t, namespace, flags...)
	}
	m.awaitReady(t)
	return m
}

func (m *operator) ready(t *testing.T) bool {
	t.Helper()
	status, _, err := request(t, http.MethodGet, "http://"+m.health+"/readyz", "", nil)
	return err == nil && status == http.StatusOK
}

func (m *operator) awaitReady(t *testing.T) {
	t.Helper()
	m.until(t, func() bool { return m.ready(t) }, func() string { return "the manager is not ready" })
}

func (a *apiServer) launch(t *testing.T, namespace string, flags ...string) *operator {
	t.Helper()
	m := &operator{
		namespace: namespace, ingest: free(t), pages: free(t), health: free(t), metrics: free(t),
		log: &safeBuffer{}, ended: make(chan struct{}),
	}
	kubeconfig := a.write(t, a.kubeconfig)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.process = exec.CommandContext(context.WithoutCancel(t.Context()), binary, append([]string{
		"--cluster-name=own", "--namespace=" + m.namespace, "--kubeconfig=" + kubeconfig,
		"--ingest-url=https://" + m.ingest, "--ingest-bind-address=" + m.ingest, "--record-views=false", "--dashboard-bind-address=" + m.pages,
		"--health-probe-bind-address=" + m.health, "--metrics-bind-address=" + m.metrics,
	}, flags...)...)
	m.process.Env = append(os.Environ(), asManager+"=yes")
	m.process.Stdout, m.process.Stderr = m.log, m.log
	if err := m.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.err = m.process.Wait()
		close(m.ended)
	}()
	t.Cleanup(func() {
		if err := m.stop(); err != nil && !m.lostAddress() && !m.killed {
			t.Errorf("the manager ended with %v", err)
		}
		if t.Failed() {
			t.Logf("the manager's log:\n%s", m.log)
		}
	})
	return m
}

func (m *operator) lostAddress() bool {
	return strings.Contains(m.log.String(), syscall.EADDRINUSE.Error())
}

// terminate asks the manager to end, as a Pod's end does. Asked twice it would
// end at once.
func (m *operator) terminate() {
	m.terminated.Do(func() { _ = m.process.Process.Signal(syscall.SIGTERM) }) // it may have ended
}

// stop ends the manager and returns what it ended with.
func (m *operator) stop() error {
	m.terminate()
	select {
	case <-m.ended:
		return m.err
	case <-time.After(time.Minute):
		return errors.Join(errors.New("it did not end within a minute"), m.process.Process.Kill())
	}
}

// await waits for the answer; rights take a moment to have an effect.
func (m *operator) await(t *testing.T, url, token string, want int) (body string) {
	t.Helper()
	var got int
	var err error
	m.until(t, func() bool {
		got, body, err = request(t, http.MethodGet, url, token, nil)
		return err == nil && got == want
	}, func() string { return fmt.Sprintf("%s answers %d (%v), want %d", url, got, err, want) })
	return body
}

// until waits for the condition.
func (m *operator) until(t *testing.T, met func() bool, describe func() string) {
	t.Helper()
	if m.wait(met) {
		return
	}
	select {
	case <-m.ended:
		t.Fatalf("the manager ended with %v\n%s", m.err, m.log)
	default:
		t.Fatal(describe())
	}
}

// wait reports whether the condition was met in time and before the manager's end.
func (m *operator) wait(met func() bool) bool {
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-m.ended:
			return false
		case <-deadline:
			return false
		case <-tick.C:
		}
	}
	return true
}

// request sends one and returns the answer's status and body.
func request(t *testing.T, method, url, token string, body io.Reader) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return send(r)
}

// send sends a request. What is asked in these tests is who may come in, not
// who answers.
func send(r *http.Request) (int, string, error) {
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// connect makes an AuditSource and returns the token that the manager issued.
func (a *apiServer) connect(t *testing.T, m *operator, source string) (token string) {
	t.Helper()
	s := &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: source}, Spec: v1alpha1.AuditSourceSpec{Cluster: "own"}}
	a.create(t, s)
	t.Cleanup(func() {
		if err := a.client.Delete(context.Background(), s); err != nil {
			t.Error(err)
		}
	})
	secret := &corev1.Secret{}
	var err error
	m.until(t, func() bool {
		err = a.client.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "audit-source-" + source}, secret)
		return err == nil
	}, func() string { return err.Error() })
	token = string(secret.Data["token"])
	m.until(t, func() bool {
		var status int
		status, _, err = request(t, http.MethodPost, m.deliveries(source), token, strings.NewReader(`{"items":[]}`))
		return err == nil && status == http.StatusOK
	}, func() string { return fmt.Sprintf("the source's token is not accepted: %v", err) })
	return token
}

func (m *operator) deliveries(source string) string {
	return "https://" + m.ingest + "/audit/v1/sources/" + source
}

// delivery holds events of these audit IDs.
func delivery(ids ...string) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	var items []string
	for _, id := range ids {
		items = append(items, fmt.Sprintf(`{"level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/configmaps/settings","verb":"update",`+
			`"user":{"username":"alice@example.com"},"responseStatus":{"code":200},"requestReceivedTimestamp":%q,"stageTimestamp":%q}`, id, now, now))
	}
	return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[` + strings.Join(items, ",") + `]}`
}

// free returns an address of loopback that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// safeBuffer may be read while a process writes.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
