package torture

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
)

const (
	batchItems = 200
	// leastRate is below what a run is void: a fault strikes nothing when
	// little happens. In events that are acknowledged in a second.
	leastRate = 2000
	// wantedRate keeps the machine from doing nothing but generate load.
	wantedRate  = 6000
	connections = 6
)

// batch is one delivery's body and what became of it.
type batch struct {
	body  []byte
	items int
	acked bool
}

// sender delivers generated events over several connections, as an API server
// does: what was not acknowledged it sends again.
type sender struct {
	source *source
	client *http.Client
	url    string

	mu      sync.Mutex
	events  *audittest.Generator
	next    time.Time // when the next batch is due
	again   []*batch  // were not acknowledged
	sent    []*batch
	acked   int // items
	began   time.Time
	refused int           // with 503 and Retry-After
	latest  time.Duration // of these answers
	silent  []string      // why there was no answer
	slowest time.Duration // of the acknowledged
	wrong   []string      // answers that may not be
}

// newSender returns one whose events no other has.
func newSender(w *world, name string, seed uint64) *sender {
	s := w.sources[name]
	return &sender{
		source: s, client: s.client(), url: w.url(s),
		events: audittest.New(audittest.Options{Seed: seed, Start: time.Now().Add(-10 * time.Minute)}),
	}
}

func (w *world) url(s *source) string { return s.urlAt(w.ports.ingest) }

func (s *source) urlAt(address string) string {
	return "https://" + address + webhook.PathPrefix + s.name
}

// client trusts the operator's certificate.
func (s *source) client() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: s.tls(), MaxIdleConnsPerHost: connections}}
}

func (s *source) tls() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.authority)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// run delivers until the context ends, and waits for what is under way. After
// an error it waits as little as lets others run: what counts is the load.
func (s *sender) run(ctx context.Context) {
	s.began, s.next = time.Now(), time.Now()
	var workers sync.WaitGroup
	for range connections {
		workers.Go(func() {
			for ctx.Err() == nil {
				b, due := s.take()
				if !pause(ctx, time.Until(due)) {
					s.giveBack(b)
					return
				}
				s.deliver(ctx, b)
			}
		})
	}
	workers.Wait()
	s.client.CloseIdleConnections()
}

// start runs the sender until the returned function is called.
func (s *sender) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

// take returns the next batch and when to send it.
func (s *sender) take() (*batch, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.next
	s.next = s.next.Add(time.Second * batchItems / wantedRate)
	if late := time.Now().Add(-100 * time.Millisecond); s.next.Before(late) {
		s.next = late // no burst after a stall
	}
	if n := len(s.again); n > 0 {
		b := s.again[n-1]
		s.again = s.again[:n-1]
		return b, due
	}
	b := &batch{body: s.events.Batch(batchItems), items: batchItems}
	s.sent = append(s.sent, b)
	return b, due
}

func (s *sender) giveBack(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again = append(s.again, b)
}

func (s *sender) deliver(ctx context.Context, b *batch) {
	began := time.Now()
	// Not cut off with the scenario: what was sent gets its answer.
	status, retryAfter, err := s.source.post(context.WithoutCancel(ctx), s.client, s.url, bytes.NewReader(b.body))
	s.mu.Lock()
	switch {
	case err == nil && status/100 == 2:
		b.acked = true
		if s.acked += b.items; s.acked == b.items {
			s.began = began
		}
		s.slowest = max(s.slowest, time.Since(began))
		s.mu.Unlock()
		return
	case err == nil && status == http.StatusServiceUnavailable && retryAfter != "":
		s.refused++
		s.latest = max(s.latest, time.Since(began))
	case err == nil:
		s.wrong = append(s.wrong, fmt.Sprintf("status %d, Retry-After %q", status, retryAfter))
	default:
		s.silent = append(s.silent, err.Error())
	}
	s.again = append(s.again, b)
	s.mu.Unlock()
	pause(ctx, 20*time.Millisecond)
}

// post sends a body as an API server does.
func (s *source) post(ctx context.Context, client *http.Client, url string, body io.Reader) (status int, retryAfter string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("Retry-After"), err
}

// progress is what was acknowledged so far, and the rate since the start.
func (s *sender) progress() (acked int, rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked, float64(s.acked) / time.Since(s.began).Seconds()
}

// counts returns how many deliveries were put off, and events acknowledged.
func (s *sender) counts() (refused, acked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused, s.acked
}

// restart begins to measure the rate anew.
func (s *sender) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = 0
}

// loadFor lets the load go on for a while and returns its rate. A busy machine
// is given time to reach the least rate; whether it has is the caller's to say.
func (s *sender) loadFor(t *testing.T, d time.Duration) (rate float64) {
	t.Helper()
	for end := time.Now().Add(d + 15*time.Second); ; {
		pause(t.Context(), d)
		acked, rate := s.progress()
		if acked > 0 && rate >= leastRate || time.Now().After(end) {
			return rate
		}
		d = 50 * time.Millisecond
	}
}

// settled hands over what was sent since the last call. It keeps what was not
// acknowledged, to send it again.
func (s *sender) settled() []*batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent, s.acked = nil, 0
	return sent
}

// pause reports whether the time passed before the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
