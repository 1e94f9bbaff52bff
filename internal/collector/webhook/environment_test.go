package webhook_test

import (
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

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
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

func serve(t testing.TB, inFlight int64) *service {
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
		ClientCAs:      func() *x509.CertPool { return pool },
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
