package torture

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/store"
)

// deliverAll sends bodies over several connections, each once, and expects
// every one to be acknowledged.
func (w *world) deliverAll(t *testing.T, name string, bodies [][]byte) []*batch {
	t.Helper()
	return w.sources[name].deliverTo(t, w.ports.ingest, bodies)
}

func (s *source) deliverTo(t *testing.T, address string, bodies [][]byte) []*batch {
	t.Helper()
	client := s.client()
	defer client.CloseIdleConnections()
	next := make(chan *batch)
	var workers sync.WaitGroup
	for range connections {
		workers.Go(func() {
			for b := range next {
				status, retryAfter, err := s.post(t.Context(), client, s.urlAt(address), bytes.NewReader(b.body))
				if b.acked = err == nil && status == http.StatusOK; !b.acked {
					t.Errorf("a delivery was not acknowledged: %d, Retry-After %q, %v", status, retryAfter, err)
				}
			}
		})
	}
	var batches []*batch
	for _, body := range bodies {
		b := &batch{body: body}
		batches = append(batches, b)
		next <- b
	}
	close(next)
	workers.Wait()
	return batches
}

// stats reads what the store counted for a source.
func (l *ledger) stats(t *testing.T, name string) (of store.SourceStats) {
	t.Helper()
	s, err := l.storage.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of = statsOf(all, name)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	of.LastReceivedAt, of.LastEventAt = time.Time{}, time.Time{}
	return of
}

// statsOf returns those of one source, which are zero where it is not listed.
func statsOf(all []store.SourceStats, name string) (of store.SourceStats) {
	for _, one := range all {
		if one.Source == name {
			of = one
		}
	}
	return of
}

// end kills the manager and compares.
func (r *row) end(t *testing.T, m *manager, l *ledger) {
	t.Helper()
	if err := m.kill(); err != nil {
		t.Fatal(err)
	}
	v := l.compare(t)
	t.Log(v)
	r.round(t, l, v)
}

// TestReplay delivers every batch three times, the third time to another
// process, as API servers do that got no answer.
func TestReplay(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "replay of every batch")
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	events := audittest.New(audittest.Options{Seed: 61, Start: time.Now().Add(-10 * time.Minute)})
	const batches = 40
	var bodies [][]byte
	for range batches {
		bodies = append(bodies, events.Batch(batchItems))
	}
	m := w.mustStart(t, l.storage)
	l.note(t, "honest", w.deliverAll(t, "honest", bodies))
	w.deliverAll(t, "honest", bodies)
	if err := m.kill(); err != nil {
		t.Fatal(err)
	}
	m = w.mustStart(t, l.storage)
	w.deliverAll(t, "honest", bodies)
	r.end(t, m, l)
	const n = batches * batchItems
	if got, want := l.stats(t, "honest"), (store.SourceStats{Source: "honest", Received: 3 * n, Stored: n, Duplicate: 2 * n}); got != want {
		t.Errorf("the store counted %+v, want %+v", got, want)
	}
}

// TestSameAuditID has clients choose an audit ID that was there before: both
// requests are kept.
func TestSameAuditID(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "two requests with one Audit-ID")
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	events := audittest.New(audittest.Options{Seed: 62, Start: time.Now().Add(-10 * time.Minute)})
	const pairs = 200
	var items [][]byte
	for range pairs {
		item := events.Item()
		items = append(items, item, bytes.Replace(item, []byte(`"verb":"`), []byte(`"verb":"x`), 1))
	}
	m := w.mustStart(t, l.storage)
	l.note(t, "honest", w.deliverAll(t, "honest", [][]byte{audittest.List(items...)}))
	r.end(t, m, l)
	if got, want := l.stats(t, "honest"), (store.SourceStats{Source: "honest", Received: 2 * pairs, Stored: 2 * pairs}); got != want {
		t.Errorf("the store counted %+v, want %+v", got, want)
	}
}

// poisons are items that can't become events.
var poisons = []string{
	`{}`, `null`, `17`, `"text"`, `[]`, `{"stage":"Half"}`, `{"kind":"Pod"}`,
	`{"level":"Metadata","auditID":"x","stage":"ResponseComplete","requestURI":7}`,
	`{"level":"Metadata","auditID":"x","auditID":"y","stage":"ResponseComplete"}`,
	`{"level":"Metadata","auditID":"x","stage":"ResponseComplete","requestReceivedTimestamp":"never"}`,
	`{"user":{"username":["a"]},"stage":"ResponseComplete","requestReceivedTimestamp":"2026-01-01T00:00:00Z"}`,
	`{"level":tru}`,
}

// TestPoison puts an item that is none in each position of a batch: it alone
// is quarantined, all others are stored.
func TestPoison(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "a poisoned event in each position")
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	events := audittest.New(audittest.Options{Seed: 63, Start: time.Now().Add(-10 * time.Minute)})
	const size = 400
	var bodies [][]byte
	for position := range size {
		items := make([][]byte, size)
		for i := range items {
			items[i] = events.Item()
		}
		items[position] = []byte(poisons[position%len(poisons)])
		bodies = append(bodies, audittest.List(items...))
	}
	m := w.mustStart(t, l.storage)
	l.note(t, "honest", w.deliverAll(t, "honest", bodies))
	r.end(t, m, l)
	want := store.SourceStats{Source: "honest", Received: size * size, Stored: size * (size - 1), Quarantined: size}
	if got := l.stats(t, "honest"); got != want {
		t.Errorf("the store counted %+v, want %+v", got, want)
	}
}

// TestCutBody breaks deliveries off at many places, with a length and in
// chunks: none is acknowledged.
func TestCutBody(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "bodies cut off half-way")
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	events := audittest.New(audittest.Options{Seed: 64, Start: time.Now().Add(-10 * time.Minute)})
	m := w.mustStart(t, l.storage)
	const cuts = 150
	var sent []*batch
	for i := range cuts {
		b := &batch{body: events.Batch(20)}
		sent = append(sent, b)
		at := len(b.body) * i / cuts
		for _, chunked := range []bool{false, true} {
			answer, err := w.sources["honest"].cutOff(t, w.ports.ingest, b.body, at, chunked)
			if err == nil && strings.Contains(answer, " 20") {
				t.Errorf("cut off after %d of %d bytes, in chunks: %t: %q", at, len(b.body), chunked, answer)
			}
		}
	}
	l.note(t, "honest", sent)
	if !m.alive() {
		t.Errorf("the manager ended\n%s", m.tail())
	}
	// Delivered again, as an API server does, all of it is there once.
	var bodies [][]byte
	for _, b := range sent {
		bodies = append(bodies, b.body)
	}
	l.note(t, "honest", w.deliverAll(t, "honest", bodies))
	r.end(t, m, l)
}

// cutOff sends the beginning of a body, closes the connection for writing, and
// returns the answer's first line.
func (s *source) cutOff(t *testing.T, address string, body []byte, at int, chunked bool) (string, error) {
	t.Helper()
	conn, err := (&tls.Dialer{Config: s.tls()}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	head := fmt.Sprintf("POST %s%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n", webhook.PathPrefix, s.name, s.token)
	if chunked {
		head += fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))
	} else {
		head += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	}
	if _, err := conn.Write(append([]byte(head), body[:at]...)); err != nil {
		return "", err
	}
	if err := conn.(*tls.Conn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 4<<10))
	line, _, _ := strings.Cut(string(answer), "\r\n")
	return line, err
}

// TestAPIServerRestart takes the API server away under load and brings it
// back: the collector goes on with the credentials that it knows, and the
// operator finds its way back.
func TestAPIServerRestart(t *testing.T) {
	w := inWorld(t)
	r := scenario(t, "loss and restart of kube-apiserver")
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	s := newSender(w, "honest", 65)
	m := w.mustStart(t, l.storage)
	stop := s.start(t)
	r.before(t, s.loadFor(t, 500*time.Millisecond))
	if err := w.cluster.StopAPIServers(); err != nil {
		t.Fatal(err)
	}
	s.restart()
	// Longer than watches, leases and tokens' caches would survive unnoticed.
	r.before(t, s.loadFor(t, 5*time.Second))
	if err := m.ready(t.Context()); err != nil {
		t.Errorf("without the API server: %v", err)
	}
	if err := w.cluster.UpControlPlane(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.restart()
	r.before(t, s.loadFor(t, time.Second))
	if err := w.connectLate(t.Context()); err != nil {
		t.Errorf("a source that is made afterwards: %v\n%s", err, m.tail())
	}
	stop()
	if len(s.wrong) > 0 || s.refused > 0 {
		t.Errorf("%d deliveries were put off; wrong answers: %q", s.refused, s.wrong)
	}
	l.note(t, s.source.name, s.settled())
	r.end(t, m, l)
}
