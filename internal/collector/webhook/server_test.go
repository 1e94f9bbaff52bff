package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

func TestOneBadItemOf400(t *testing.T) {
	s := serve(t, 0)
	items := make([]string, 400)
	for i := range items {
		items[i] = item(i)
	}
	items[200] = `{"level":"Metadata","stage":"Half"}`
	resp, answer := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(list(items...)))
	if resp.StatusCode != http.StatusOK || answer != "" {
		t.Errorf("answer %d %q, want an empty 200", resp.StatusCode, answer)
	}
	if resp.ProtoMajor != 1 || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("spoke HTTP/%d over TLS %x", resp.ProtoMajor, resp.TLS.Version)
	}
	want := store.SourceStats{Source: "kube-apiserver", Received: 400, Stored: 399, Quarantined: 1}
	if diff := cmp.Diff(want, s.stats(t)); diff != "" {
		t.Error(diff)
	}
	bad, err := storetest.Quarantined(t.Context(), s.store, "kube-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	if len(bad) != 1 || !strings.Contains(bad[0].Reason, "requestReceivedTimestamp") {
		t.Errorf("quarantine holds %+v", bad)
	}
	now := time.Now()
	view, err := s.store.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: query.Window{From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Count: true})
	if err != nil || view.Matched != 399 {
		t.Errorf("%d events are found, %v", view.Matched, err)
	}
}

// unread fails the test if anybody reads it.
type unread struct{ reads int }

func (u *unread) Read(p []byte) (int, error) { u.reads++; return copy(p, "x"), nil }

func TestAuthentication(t *testing.T) {
	s := serve(t, 0)
	for name, tc := range map[string]struct {
		client         *http.Client
		source, bearer string
		want           int
	}{
		"token":              {s.client, "kube-apiserver", token, 200},
		"certificate":        {s.trusted, "kube-apiserver", "", 200},
		"nothing":            {s.client, "kube-apiserver", "", 401},
		"wrong token":        {s.client, "kube-apiserver", token + "x", 401},
		"another's path":     {s.client, "other", token, 401},
		"of another source":  {s.client, "second", token, 401},
		"certificate of one": {s.trusted, "second", "", 401},
		"certificate, other": {s.trusted, "other", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.stats(t).Received
			resp, _ := s.post(t, tc.client, tc.source, tc.bearer, strings.NewReader(list(item(1))))
			if resp.StatusCode != tc.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.want)
			}
			if got := s.stats(t).Received - before; got > 0 != (tc.want == 200) {
				t.Errorf("%d items were taken", got)
			}
		})
	}
	if got := s.registry.Refused("kube-apiserver"); got != 2 {
		t.Errorf("%d refused, want 2", got)
	}
	s.registry.Delete("kube-apiserver")
	if resp, _ := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(list(item(1)))); resp.StatusCode != 401 {
		t.Errorf("status %d after the source is gone", resp.StatusCode)
	}
}

// Whatever credentials there were: the operator's own records come from it alone.
func TestOwnSourceIsNoSource(t *testing.T) {
	s := serve(t, 0)
	s.registry.Set(webhook.Source{Source: collector.Source{Name: audit.OwnSource}, TokenSHA256: [][32]byte{sha256.Sum256([]byte(token))}})
	if resp, _ := s.post(t, s.client, audit.OwnSource, token, strings.NewReader(list(item(1)))); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestNothingIsReadWithoutCredentials(t *testing.T) {
	registry := webhook.NewRegistry()
	handler := webhook.NewHandler(registry, nil, logr.Discard())
	body := &unread{}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathPrefix+"kube-apiserver", body)
	if err != nil {
		t.Fatal(err)
	}
	w := &recorder{header: http.Header{}}
	handler.ServeHTTP(w, req)
	if w.status != 401 || body.reads != 0 {
		t.Errorf("status %d after %d reads, want 401 after none", w.status, body.reads)
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

func TestMethods(t *testing.T) {
	s := serve(t, 0)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"kube-apiserver", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, want 405", resp.StatusCode)
	}
}

func TestShedding(t *testing.T) {
	for name, err := range map[string]error{
		"overloaded":  fmt.Errorf("x: %w", store.ErrOverloaded),
		"unavailable": store.ErrUnavailable,
		"closed":      store.ErrClosed,
		"any":         fmt.Errorf("the disk says hunter2"),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, 0)
			s.store.err = err
			resp, answer := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(list(item(1))))
			if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "3" {
				t.Errorf("answer %d with Retry-After %q, want 503 with 3", resp.StatusCode, resp.Header.Get("Retry-After"))
			}
			if strings.Contains(answer, "hunter2") {
				t.Errorf("the answer tells what is inside: %s", answer)
			}
			s.store.err = nil
			if resp, _ := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(list(item(1)))); resp.StatusCode != 200 {
				t.Errorf("status %d after the store came back", resp.StatusCode)
			}
		})
	}
}

// A source's last delivery was put off until one is taken, or for a while. What
// others send in its name says nothing of it.
func TestPutsOff(t *testing.T) {
	s := serve(t, 0)
	expect := func(what string, within time.Duration, want bool) {
		t.Helper()
		if got := s.registry.PutsOff("kube-apiserver", within); got != want {
			t.Errorf("%s: put off within %s: %t", what, within, got)
		}
	}
	send := func(token string, body io.Reader, want int) {
		t.Helper()
		if resp, _ := s.post(t, s.client, "kube-apiserver", token, body); resp.StatusCode != want {
			t.Fatalf("status %d, want %d", resp.StatusCode, want)
		}
	}
	expect("nothing came", time.Hour, false)
	s.store.err = store.ErrOverloaded
	send("guessed", strings.NewReader(list(item(1))), http.StatusUnauthorized)
	expect("somebody else came", time.Hour, false)
	send(token, strings.NewReader(list(item(1))), http.StatusServiceUnavailable)
	expect("one was put off", time.Hour, true)
	expect("one was put off, longer ago", time.Nanosecond, false)
	s.store.err = nil
	send("guessed", strings.NewReader(list(item(1))), http.StatusUnauthorized)
	expect("somebody else came after it", time.Hour, true)
	send(token, strings.NewReader(list(item(1))), http.StatusOK)
	expect("it came again", time.Hour, false)
	if s.registry.PutsOff("nobody", time.Hour) {
		t.Error("a source that is not known puts off")
	}
}

func TestBytesInFlight(t *testing.T) {
	s := serve(t, 1)
	pr, pw := io.Pipe()
	first := make(chan int, 1)
	go func() {
		resp, _ := s.post(t, s.client, "kube-apiserver", token, pr)
		first <- resp.StatusCode
	}()
	// The first delivery has begun once its bytes are taken from the pipe.
	if _, err := io.WriteString(pw, strings.Repeat(" ", 1<<20)); err != nil {
		t.Fatal(err)
	}
	// It holds all there is; another is put off while it lasts.
	for {
		resp, _ := s.post(t, s.trusted, "kube-apiserver", "", strings.NewReader(list(item(1))))
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
	}
	if _, err := io.WriteString(pw, list(item(2))); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	if status := <-first; status != 200 {
		t.Errorf("the first delivery: status %d", status)
	}
}

// A delivery is read to its end, whatever its length: what a stranger sends
// takes nothing from what others did.
func TestLongDelivery(t *testing.T) {
	s := serve(t, 0)
	const others, strangers = 144, 13
	var body strings.Builder
	ands := strings.Repeat(`\u0026`, 1<<20)
	body.WriteString(`{"kind":"EventList","items":[`)
	for i := range others {
		if i%12 == 0 {
			body.WriteString(strings.Replace(item(1000+i), `/pods`, `/pods?`+ands, 1) + ",")
		}
		body.WriteString(item(i) + ",")
	}
	body.WriteString(strings.Replace(item(2000), `/pods`, `/pods?`+ands, 1) + "]}")
	if body.Len() < 64<<20 {
		t.Fatalf("the delivery has only %d bytes", body.Len())
	}
	resp, _ := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(body.String()))
	want := store.SourceStats{Source: "kube-apiserver", Received: others + strangers, Stored: others + strangers}
	if diff := cmp.Diff(want, s.stats(t)); resp.StatusCode != 200 || diff != "" {
		t.Errorf("status %d: %s", resp.StatusCode, diff)
	}
}

func TestCutOff(t *testing.T) {
	s := serve(t, 0)
	dialer := tls.Dialer{Config: s.client.Transport.(*http.Transport).TLSClientConfig}
	dialed, err := dialer.DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(s.url, "https://"), webhook.PathPrefix))
	if err != nil {
		t.Fatal(err)
	}
	conn := dialed.(*tls.Conn)
	defer conn.Close()
	body := list(item(1), item(2))
	fmt.Fprintf(conn, "POST %skube-apiserver HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", webhook.PathPrefix, token, len(body)+1, body)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	if bytes.Contains(answer, []byte(" 200 ")) {
		t.Errorf("a delivery that did not come completely was acknowledged: %s", answer)
	}
}

func TestCompressedBody(t *testing.T) {
	s := serve(t, 0)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"kube-apiserver", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Encoding", "zstd")
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("status %d, want 415", resp.StatusCode)
	}
}
