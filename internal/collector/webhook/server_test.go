package webhook_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
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
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

const token = "correct-horse"

// faulty is the store, with an error of the test's choice in front of it.
type faulty struct {
	store.Store
	err error
}

func (f *faulty) Append(ctx context.Context, b store.Batch) (store.Appended, error) {
	if f.err != nil {
		return store.Appended{}, f.err
	}
	return f.Store.Append(ctx, b)
}

type service struct {
	url      string
	store    *faulty
	registry *webhook.Registry
	client   *http.Client // without a certificate
	trusted  *http.Client // with the certificate audit-source:kube-apiserver
}

func serve(t testing.TB, maxBody, inFlight int64) *service {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	svc := &service{store: &faulty{Store: s}, registry: webhook.NewRegistry()}
	svc.registry.Set(webhook.Source{
		Source:      collector.Source{Name: "kube-apiserver", Cluster: "dev"},
		TokenSHA256: [][32]byte{sha256.Sum256([]byte(token))}, ClientCommonName: "audit-source:kube-apiserver",
		MaxBodyBytes: maxBody,
	})
	svc.registry.Set(webhook.Source{
		Source: collector.Source{Name: "second", Cluster: "dev"}, TokenSHA256: [][32]byte{sha256.Sum256([]byte("its-own"))},
		ClientCommonName: "audit-source:second",
	})
	c := collector.New(collector.Options{Writer: svc.store, Classifier: classifier, MaxBytesInFlight: inFlight})

	pool := x509.NewCertPool()
	authority, key := certificate(t, "ca", nil, nil)
	pool.AddCert(authority.Leaf)
	serving, _ := certificate(t, "127.0.0.1", authority.Leaf, key)
	client, _ := certificate(t, "audit-source:kube-apiserver", authority.Leaf, key)
	server := webhook.NewServer(webhook.NewHandler(svc.registry, c, logr.Discard()), webhook.TLS{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &serving, nil },
		ClientCAs:      pool,
	}, logr.Discard())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	svc.url = "https://" + listener.Addr().String() + webhook.PathPrefix
	svc.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	svc.trusted = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}}}}
	t.Cleanup(svc.client.CloseIdleConnections)
	t.Cleanup(svc.trusted.CloseIdleConnections)
	return svc
}

func certificate(t testing.TB, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (tls.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, key
}

func (s *service) post(t *testing.T, client *http.Client, source, bearer string, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+source, body)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

func (s *service) stats(t *testing.T) store.SourceStats {
	t.Helper()
	all, err := s.store.Sources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return store.SourceStats{}
	}
	all[0].LastReceivedAt, all[0].LastEventAt = time.Time{}, time.Time{}
	return all[0]
}

func item(i int) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")
	return fmt.Sprintf(`{"level":"Metadata","auditID":"a%d","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods","verb":"list","user":{"username":"alice@example.com"},"objectRef":{"resource":"pods","namespace":"shop","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":%q,"stageTimestamp":%q}`, i, now, now)
}

func list(items ...string) string {
	return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(items, ",") + `]}`
}

func TestOneBadItemOf400(t *testing.T) {
	s := serve(t, 0, 0)
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
	bad, err := s.store.Quarantine(t.Context(), "kube-apiserver", 10)
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
	s := serve(t, 0, 0)
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
	s := serve(t, 0, 0)
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
			s := serve(t, 0, 0)
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

func TestBytesInFlight(t *testing.T) {
	s := serve(t, 0, 1)
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

func TestLargeBody(t *testing.T) {
	s := serve(t, 1500, 0)
	body := list(item(1), item(2), item(3), item(4), item(5), item(6), item(7), item(8))
	if len(body) < 2400 {
		t.Fatal("the body is too small for the test")
	}
	resp, _ := s.post(t, s.client, "kube-apiserver", token, strings.NewReader(body))
	if resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	bad, err := s.store.Quarantine(t.Context(), "kube-apiserver", 10)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, q := range bad {
		size += q.Size
	}
	// Every byte beyond the last complete item is accounted for.
	if stats := s.stats(t); stats.Stored == 0 || stats.Stored > 7 || len(bad) != 2 || size < int64(len(body))-1500 {
		t.Errorf("%d stored, quarantine %+v", stats.Stored, bad)
	}
}

func TestCutOff(t *testing.T) {
	s := serve(t, 0, 0)
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
	s := serve(t, 0, 0)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"kube-apiserver", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("status %d, want 415", resp.StatusCode)
	}
}
