package process

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// halfDelivery is a delivery whose second half is still to come.
type halfDelivery struct {
	conn *tls.Conn
	rest string
}

// beginDelivery sends one event and half of another.
func (m *operator) beginDelivery(t *testing.T, source, token string, ids ...string) halfDelivery {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", m.ingest)
	if err != nil {
		t.Fatal(err)
	}
	d := halfDelivery{conn: conn.(*tls.Conn)}
	t.Cleanup(func() { d.conn.Close() })
	body := delivery(ids...)
	cut := len(body) * 3 / 4
	if _, err := fmt.Fprintf(conn, "POST /audit/v1/sources/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		source, token, len(body), body[:cut]); err != nil {
		t.Fatal(err)
	}
	d.rest = body[cut:]
	return d
}

// finish sends the rest and returns the answer's status, 0 for none.
func (d halfDelivery) finish(t *testing.T) int {
	t.Helper()
	if err := d.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(d.conn, d.rest) // what was cut off answers nothing
	resp, err := http.ReadResponse(bufio.NewReader(d.conn), nil)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// storedIDs opens the store that a manager left.
func storedIDs(t *testing.T, dir string) string {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{Dir: dir})
	view, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{
		Window: query.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}, Limit: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range view.Events {
		ids = append(ids, e.AuditID)
	}
	return strings.Join(ids, " ")
}

// awaitTaken waits until the delivery is being read.
func (m *operator) awaitTaken(t *testing.T, reader string) {
	t.Helper()
	m.until(t, func() bool {
		_, text, err := request(t, http.MethodGet, "https://"+m.metrics+"/metrics", reader, nil)
		return err == nil && strings.Contains(text, "audit_delivery_bytes_in_flight") && !strings.Contains(text, "\naudit_delivery_bytes_in_flight 0\n")
	}, func() string { return "the delivery is not being read" })
}

// staysObservable looks for a second whether probes and scrapes are answered.
func (m *operator) staysObservable(t *testing.T, reader string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 20 {
		if status, _, err := request(t, http.MethodGet, "http://"+m.health+"/readyz", "", nil); status != http.StatusInternalServerError {
			t.Fatalf("while a delivery is under way, /readyz answers %d (%v)", status, err)
		}
		if status, _, err := request(t, http.MethodGet, "https://"+m.metrics+"/metrics", reader, nil); status != http.StatusOK {
			t.Fatalf("while a delivery is under way, /metrics answers %d (%v)", status, err)
		}
		<-tick.C
	}
}

// A delivery that is under way when the operator ends is answered and stored;
// probes say meanwhile that nothing more should come.
func TestEndFinishesDeliveries(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	reader := api.serviceAccount(t, "ending", "/metrics")
	m.await(t, "https://"+m.metrics+"/metrics", reader, http.StatusOK)
	token := api.connect(t, m, "ending")
	d := m.beginDelivery(t, "ending", token, "first", "second")
	m.awaitTaken(t, reader)
	m.terminate()
	m.await(t, "http://"+m.health+"/readyz", "", http.StatusInternalServerError)
	m.staysObservable(t, reader)
	if _, _, err := request(t, http.MethodPost, m.deliveries("ending"), token, strings.NewReader(delivery("late"))); err == nil {
		t.Error("a delivery that came later was answered")
	}
	if status := d.finish(t); status != http.StatusOK {
		t.Errorf("the delivery that was under way got status %d", status)
	}
	if err := m.stop(); err != nil {
		t.Errorf("the manager ended with %v", err)
	}
	if got := storedIDs(t, m.dataDir); got != "first second" && got != "second first" {
		t.Errorf("stored: %s", got)
	}
}

// A delivery that does not come to its end in time is cut off without an
// answer, so that it is sent again.
func TestEndCutsOffDeliveries(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t, "--drain-timeout=1s")
	reader := api.serviceAccount(t, "cut-off", "/metrics")
	m.await(t, "https://"+m.metrics+"/metrics", reader, http.StatusOK)
	d := m.beginDelivery(t, "cut-off", api.connect(t, m, "cut-off"), "first", "second")
	m.awaitTaken(t, reader)
	began := time.Now()
	if err := m.stop(); err != nil {
		t.Errorf("the manager ended with %v", err)
	}
	if took := time.Since(began); took < time.Second || took > 20*time.Second {
		t.Errorf("the end took %s with a drain timeout of 1s", took)
	}
	if status := d.finish(t); status != 0 {
		t.Errorf("the delivery that was cut off got status %d", status)
	}
	if !strings.Contains(m.log.String(), "Cut off requests that did not end in time") {
		t.Error("the log does not tell that requests were cut off")
	}
	if got := storedIDs(t, m.dataDir); got != "" {
		t.Errorf("stored: %s", got)
	}
}
