package torture

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
)

// shippedMemory is the limit of config/manager/statefulset.yaml.
const shippedMemory = 2 << 30

// Bounds of the hostile tenant's scenario. The machine runs the control plane,
// the manager and all clients, so they are generous.
const (
	slowestIngest = 5 * time.Second
	slowestPage   = 15 * time.Second
	// settleAtMost covers what kube-apiserver still buffers when the attack ends.
	settleAtMost = 2 * time.Minute
)

// Who takes part. The victim and the attacker have rights in their own
// namespaces alone.
const (
	victim, victimNamespace     = "shopkeeper", "shop"
	attacker, attackerNamespace = "mallory", "den"
)

// TestHostileTenant has somebody with rights in one namespace, and somebody
// without any, do all at once what could hide, blind, fill, starve or break the
// log. Beside them another tenant's requests are all found, each once, the
// auditor's pages answer, deliveries of another source are prompt, and the
// manager lives within the memory that it ships with.
func TestHostileTenant(t *testing.T) {
	r := scenario(t, "hostile tenant")
	lasts, requests := 20*time.Second, 600
	if os.Getenv("TORTURE_ROUNDS") != "" {
		lasts, requests = time.Minute, 2000
	}
	s := newTenantEnv(t)
	limitMemory(t, s.pid)

	attack, end := context.WithTimeout(t.Context(), lasts)
	defer end()
	var attackers sync.WaitGroup
	counts := &attackCounts{}
	for name, act := range s.attacks() {
		attackers.Go(func() { repeat(attack, counts, name, act) })
	}
	probe := s.probe(t, attack)
	pages := s.watchPages(attack)
	s.sendRequests(t, attack, requests, lasts)
	attackers.Wait()
	slowestDelivery, refused := probe()
	slowestView, failures := pages()

	s.checkProcess(t)
	if slowestDelivery > slowestIngest || refused > 0 {
		t.Errorf("deliveries of another source: the slowest took %v, want at most %v; %d were not acknowledged", slowestDelivery, slowestIngest, refused)
	}
	if slowestView > slowestPage || len(failures) > 0 {
		t.Errorf("the auditor's pages: the slowest took %v, want at most %v; failures: %q", slowestView, slowestPage, failures)
	}
	var known []request
	for i := range requests {
		known = append(known, request{http.MethodGet, knownName(i)})
	}
	settled := s.awaitRequests(t, victim, victimNamespace, known)
	s.awaitRequests(t, attacker, attackerNamespace, s.done)
	r.note = fmt.Sprintf("%d requests found %v after the attack, slowest delivery %v, slowest page %v, peak %d MiB; attacks: %s",
		requests, settled.Round(time.Second), slowestDelivery.Round(time.Millisecond), slowestView.Round(time.Millisecond), s.peak(t)>>20, counts)
	t.Log(r.note)
}

// tenantEnv is a cluster whose kube-apiserver audits to the operator, with its people.
type tenantEnv struct {
	cluster     *cluster.Cluster
	admin       client.WithWatch
	host        string
	anonymous   *rest.Config
	victim      kubernetes.Interface
	attacker    client.WithWatch // with the administrator's scheme
	attackerRaw *rest.Config
	tokens      map[string]string // of the dashboard's readers
	pid         int

	mu   sync.Mutex
	done []request // by the attacker
}

// request is what the log must tell of one.
type request struct{ method, name string }

func newTenantEnv(t *testing.T) *tenantEnv {
	t.Helper()
	c, err := cluster.Open(root, filepath.Join(t.TempDir(), "dev"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Down(); err != nil {
			t.Error(err)
		}
		c.Close()
	})
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &tenantEnv{cluster: c, tokens: map[string]string{}, pid: c.OperatorPID()}
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	s.host, s.anonymous = config.Host, rest.AnonymousClientConfig(config)
	if s.admin, err = c.Client(); err != nil {
		t.Fatal(err)
	}
	s.createTenants(t)
	return s
}

// createTenants makes the namespaces and the rights of those who take part.
func (s *tenantEnv) createTenants(t *testing.T) {
	t.Helper()
	for user, namespace := range map[string]string{victim: victimNamespace, attacker: attackerNamespace} {
		subjects := []rbacv1.Subject{
			{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user},
			{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: user},
		}
		own := metav1.ObjectMeta{Namespace: namespace, Name: user}
		for _, object := range []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
			&corev1.ServiceAccount{ObjectMeta: own},
			&rbacv1.Role{ObjectMeta: own, Rules: []rbacv1.PolicyRule{{
				APIGroups: []string{""}, Resources: []string{"configmaps", "secrets"}, Verbs: []string{"get", "create", "delete", "patch"},
			}}},
			&rbacv1.RoleBinding{ObjectMeta: own, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user}},
			&rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "auditlog-editor"}, Subjects: subjects,
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "auditlog-editor"},
			},
		} {
			if err := s.admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
		s.tokens[user] = s.token(t, namespace, user)
	}
	s.tokens[cluster.AuditorName] = s.token(t, cluster.AuditorNamespace, cluster.AuditorName)
	config, err := s.cluster.User(victim)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if s.victim, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if s.attackerRaw, err = s.cluster.User(attacker); err != nil {
		t.Fatal(err)
	}
	s.attackerRaw.QPS = -1
	if s.attacker, err = client.NewWithWatch(s.attackerRaw, client.Options{Scheme: s.admin.Scheme()}); err != nil {
		t.Fatal(err)
	}
}

func (s *tenantEnv) token(t *testing.T, namespace, name string) string {
	t.Helper()
	token, err := s.cluster.Kubectl(t.Context(), "create", "token", name, "-n", namespace, "--duration=1h")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(token)
}

// limitMemory gives a manager the memory that it ships with: beyond it the
// kernel gives no more, and the process ends.
func limitMemory(t *testing.T, pid int) {
	t.Helper()
	limit := unix.Rlimit{Cur: shippedMemory, Max: shippedMemory}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil); err != nil {
		t.Fatalf("limit the manager's memory: %v", err)
	}
}

// checkProcess checks that the manager is the one that was started, and kept to
// its memory.
func (s *tenantEnv) checkProcess(t *testing.T) {
	t.Helper()
	if s.cluster.OperatorPID() != s.pid {
		t.Errorf("the manager is process %d, want %d", s.cluster.OperatorPID(), s.pid)
	}
	if peak := s.peak(t); peak > shippedMemory {
		t.Errorf("the manager had %d MiB in memory, want at most %d", peak>>20, shippedMemory>>20)
	}
}

func (s *tenantEnv) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/status")
	if err != nil {
		t.Fatalf("the manager has ended: %v", err)
	}
	match := peak.FindSubmatch(status)
	if match == nil {
		t.Fatal("/proc/<pid>/status has no VmHWM: the manager has ended")
	}
	kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// sendRequests has the victim send its requests, spread over the attack.
func (s *tenantEnv) sendRequests(t *testing.T, attack context.Context, requests int, lasts time.Duration) {
	t.Helper()
	for i := range requests {
		// The attack's end ends no request.
		if _, err := s.victim.CoreV1().ConfigMaps(victimNamespace).Get(t.Context(), knownName(i), metav1.GetOptions{}); client.IgnoreNotFound(err) != nil {
			t.Errorf("request %d: %v", i, err)
		}
		pause(attack, lasts/time.Duration(requests+requests/5))
	}
}

func knownName(i int) string { return fmt.Sprintf("known-%04d", i) }

// attackCounts counts what attackers did, and what became of it.
type attackCounts struct {
	mu     sync.Mutex
	counts map[string]map[string]int
}

func (c *attackCounts) add(name, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	if c.counts[name] == nil {
		c.counts[name] = map[string]int{}
	}
	c.counts[name][outcome]++
}

func (c *attackCounts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(c.counts) // maps are printed sorted
}
