package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// newDatabase makes a database with the schema and returns its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	database := postgrestest.Shared(t).Database(t)
	process(t, nil, 0, "migrate", "--store="+database)
	return database
}

// replica is a manager beside others, as a user of its own.
type replica struct {
	*operator
	user string
}

// launchReplica starts one, which is not ready yet. Its test makes the namespace.
func (a *apiServer) launchReplica(t *testing.T, user, database string) replica {
	t.Helper()
	namespace := strings.ToLower(t.Name())
	m := a.launch(t, namespace, "--store="+database, "--kubeconfig="+a.write(t, a.user(t, user)), "--zap-log-level=10")
	t.Cleanup(func() {
		if log := m.log.String(); strings.Contains(log, postgrestest.Password) || strings.Contains(log, url.QueryEscape(postgrestest.Password)) {
			t.Errorf("the log of %s tells the database's password", user)
		} else if !strings.Contains(log, `"store":"the database \"test_`) {
			t.Errorf("the log of %s does not tell its database", user)
		}
	})
	return replica{m, user}
}

// writes returns what a replica wrote for all since an offset of the API
// server's log. Questions about callers, and the lease, are each one's own.
func (a *apiServer) writes(t *testing.T, r replica, from int) (resources []string) {
	t.Helper()
	log, err := os.ReadFile(a.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(log[from:]) {
		var e auditv1.Event
		if json.Unmarshal(line, &e) != nil || e.User.Username != r.user || e.ObjectRef == nil { // or it is being written
			continue
		}
		reads := slices.Contains([]string{"get", "list", "watch"}, e.Verb)
		if resource := e.ObjectRef.Resource; !reads && resource != "leases" && !strings.HasSuffix(resource, "reviews") {
			resources = append(resources, e.Verb+" "+strings.TrimSuffix(resource+"/"+e.ObjectRef.Subresource, "/"))
		}
	}
	return resources
}

// logged is the offset of the API server's log up to which it is written.
func (a *apiServer) logged(t *testing.T) int {
	t.Helper()
	info, err := os.Stat(a.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

// ask makes a query, waits for its answer and lets it go.
func (a *apiServer) ask(t *testing.T, m *operator, q *v1alpha1.ClusterAuditLogQuery) *v1alpha1.Snapshot {
	t.Helper()
	a.create(t, q)
	defer a.remove(t, q)
	m.until(t, func() bool {
		return a.client.Get(t.Context(), client.ObjectKeyFromObject(q), q) == nil && q.Status.Snapshot != nil
	}, func() string { return fmt.Sprintf("the query %s is not answered: %+v", q.Name, q.Status.Conditions) })
	return q.Status.Snapshot
}

// remove deletes a query and waits until the manager has let it go.
func (a *apiServer) remove(t *testing.T, q *v1alpha1.ClusterAuditLogQuery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for err := a.client.Delete(ctx, q); !apierrors.IsNotFound(err); err = a.client.Get(ctx, client.ObjectKeyFromObject(q), q) {
		if ctx.Err() != nil {
			t.Errorf("the query %s stays: %v", q.Name, err)
			return
		}
		<-tick.C
	}
}

func queryOf(name string, types ...string) *v1alpha1.ClusterAuditLogQuery {
	q := &v1alpha1.ClusterAuditLogQuery{ObjectMeta: metav1.ObjectMeta{Name: name}}
	q.Spec.ResourceTypes = types
	return q
}

// post delivers what is acknowledged, or fails.
func (m *operator) post(t *testing.T, source, token, body string) {
	t.Helper()
	m.until(t, func() bool { return m.accepts(t, source, token, body) }, func() string { return "the delivery is not accepted" })
}

func (m *operator) accepts(t *testing.T, source, token, body string) bool {
	t.Helper()
	status, _, err := request(t, http.MethodPost, m.deliveries(source), token, strings.NewReader(body))
	return err == nil && status == http.StatusOK
}

// certificate is the one that the collector serves.
func (m *operator) certificate(t *testing.T) []byte {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", m.ingest)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
}

// Replicas that start at once on an empty namespace are one operator to those
// who deliver and to those who read.
func TestReplicasAreOne(t *testing.T) {
	api := startAPIServer(t)
	database := newDatabase(t)
	api.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(t.Name())}})
	began := api.logged(t)
	a, b := api.launchReplica(t, "one-a", database), api.launchReplica(t, "one-b", database)
	a.awaitReady(t)
	b.awaitReady(t)
	if !bytes.Equal(a.certificate(t), b.certificate(t)) {
		t.Error("they serve different certificates")
	}

	// A source and a type that appear while both run are known to both.
	token := api.connect(t, a.operator, "shared")
	kind := &v1alpha1.AuditResourceType{ObjectMeta: metav1.ObjectMeta{Name: "setting"}}
	kind.Spec = v1alpha1.AuditResourceTypeSpec{DisplayName: "Setting of all", Priority: 900, Match: []v1alpha1.MatchRule{{Resources: []string{"configmaps"}}}}
	api.create(t, kind)
	t.Cleanup(func() {
		if err := api.client.Delete(context.WithoutCancel(t.Context()), kind); err != nil {
			t.Error(err)
		}
	})
	person := api.serviceAccount(t, "reader-of-both")
	api.grant(t, "reader-of-both", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"audit.porter.run"}, Resources: []string{"auditlogqueries/events"}})
	list := "/security/audit-logs"
	for _, r := range []replica{a, b} {
		r.until(t, func() bool {
			return strings.Contains(r.await(t, "http://"+r.pages+list, person, http.StatusOK), "Setting of all")
		}, func() string { return r.user + " does not know the type" })
		body := strings.Replace(delivery("by "+r.user), `"user":`, `"objectRef":{"resource":"configmaps","namespace":"shop","name":"settings","apiVersion":"v1"},"user":`, 1)
		r.post(t, "shared", token, body)
	}
	if got := api.ask(t, a.operator, queryOf("settings-of-both", "setting")); got.Matched != 2 {
		t.Errorf("%d events have the type", got.Matched)
	}

	// Who logs in at one is known to the other, which shows what both took.
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar} // cookies are of a host, not of a port
	open(t, browser, http.MethodPost, "http://"+a.pages+"/login", url.Values{"token": {person}})
	if page := open(t, browser, http.MethodGet, "http://"+b.pages+list, nil); strings.Count(page, "Setting of all") < 2 {
		t.Error("a session of one is none of the other's")
	}

	// What a source sent is counted over both.
	source := &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: "shared"}}
	a.until(t, func() bool {
		return api.client.Get(t.Context(), client.ObjectKeyFromObject(source), source) == nil && source.Status.EventsStored == 2
	}, func() string { return fmt.Sprintf("the source's status is %+v", source.Status) })

	// One of them wrote all of that. The other made of Secrets what the namespace
	// lacked, if anything.
	leader, follower := a, b
	if len(api.writes(t, a, began)) < len(api.writes(t, b, began)) {
		leader, follower = b, a
	}
	for _, want := range []string{"patch auditsources/status", "patch auditresourcetypes/status", "patch clusterauditlogqueries/status", "create events"} {
		if wrote := api.writes(t, leader, began); !slices.Contains(wrote, want) {
			t.Errorf("the leader did not %s: %v", want, wrote)
		}
	}
	for _, write := range api.writes(t, follower, began) {
		if write != "create secrets" {
			t.Errorf("who does not lead did %s", write)
		}
	}
}

// open asks as a browser does and returns the page.
func open(t *testing.T, browser *http.Client, method, address string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page bytes.Buffer
	if _, err := page.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %d (%v)", address, resp.StatusCode, err)
	}
	return page.String()
}

// leads reports whether the replica says that it does.
func (r replica) leads(t *testing.T, scraper string) bool {
	t.Helper()
	_, text, err := request(t, http.MethodGet, "https://"+r.metrics+"/metrics", scraper, nil)
	return err == nil && strings.Contains(text, "\nleader_election_master_status{name=\"audit-operator\"} 1\n")
}

// Whoever leads is followed: at once where it ends in order, and after its lease
// where it is gone without a word.
func TestReplicaTakesOver(t *testing.T) {
	api := startAPIServer(t)
	database := newDatabase(t)
	api.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(t.Name())}})
	scraper := api.serviceAccount(t, "scraper-of-leaders", "/metrics")
	lead := func(r replica, within time.Duration) {
		t.Helper()
		began := time.Now()
		r.until(t, func() bool { return r.leads(t, scraper) }, func() string { return r.user + " does not lead" })
		took := time.Since(began)
		t.Logf("%s leads after %s", r.user, took.Round(100*time.Millisecond))
		if took > within {
			t.Errorf("%s leads after %s, want %s", r.user, took, within)
		}
		api.ask(t, r.operator, queryOf("of-"+r.user))
	}
	first := api.launchReplica(t, "over-a", database)
	first.awaitReady(t)
	lead(first, 30*time.Second)
	second := api.launchReplica(t, "over-b", database)
	second.awaitReady(t)
	if second.leads(t, scraper) {
		t.Error("two lead")
	}

	if err := first.stop(); err != nil {
		t.Errorf("the leader ended with %v", err)
	}
	// The lease lasts 15 s. It is looked at every 2 s to 2.2 times that, and what
	// is seen of the last renewal then counts from there.
	const leaseDuration, retryPeriod = 15 * time.Second, 2 * time.Second
	const look, slack = retryPeriod * 22 / 10, 4 * time.Second
	lead(second, look+slack)

	third := api.launchReplica(t, "over-c", database)
	third.awaitReady(t)
	second.kill(t)
	lead(third, look+leaseDuration+look+slack)
}

// kill ends the manager as the loss of its machine does.
func (m *operator) kill(t *testing.T) {
	t.Helper()
	m.killed = true
	if err := m.process.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-m.ended
}

// A leader that can't reach the API server leads no longer, takes deliveries
// all the same, and leads again.
func TestReplicaWithoutAPIServer(t *testing.T) {
	api := startAPIServer(t)
	database := newDatabase(t)
	gate, flag := api.through(t)
	namespace := strings.ToLower(t.Name())
	api.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	m := api.startManagerWith(t, namespace, "--store="+database, flag)
	token := api.connect(t, m, "steady")
	api.ask(t, m, queryOf("before-the-loss"))

	gate.Close()
	m.until(t, func() bool { return strings.Contains(m.log.String(), "Lost the leader lease; retrying") }, func() string { return "it still leads" })
	if !m.ready(t) {
		t.Error("it is not ready without the API server")
	}
	m.post(t, "steady", token, delivery("meanwhile"))
	gate.Reopen(t)
	if got := api.ask(t, m, queryOf("after-the-loss")); got.Matched != 1 {
		t.Errorf("%d events were kept", got.Matched)
	}
}
