package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/collector/webhook"
)

// Ready means that a source would be answered: neither an open port nor a
// certificate that sources refuse is enough.
func TestProbe(t *testing.T) {
	pool, others := x509.NewCertPool(), x509.NewCertPool()
	authority, key := certificate(t, "ca", nil, nil)
	pool.AddCert(authority.Leaf)
	other, _ := certificate(t, "other", nil, nil)
	others.AddCert(other.Leaf)
	serving, _ := certificate(t, "127.0.0.1", authority.Leaf, key)
	server := webhook.NewServer(http.NotFoundHandler(), webhook.TLS{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &serving, nil },
		ClientCAs:      func() *x509.CertPool { return pool },
	}, logr.Discard())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	probe := func(host string, authorities *x509.CertPool) error {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)
		return webhook.Probe(listener.Addr(), host, func() *x509.CertPool { return authorities })(request)
	}

	// The kernel takes connections before anyone serves them.
	began := time.Now()
	if err := probe("127.0.0.1", pool); err == nil {
		t.Error("ready before it serves")
	}
	if took := time.Since(began); took > 4900*time.Millisecond {
		t.Errorf("took %s; the readiness probe ends after 5s", took)
	}

	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	if err := probe("127.0.0.1", pool); err != nil {
		t.Errorf("not ready while it serves: %v", err)
	}
	if err := probe("127.0.0.1", others); err == nil {
		t.Error("ready with a certificate of another authority")
	}
	if err := probe("audit.example.com", pool); err == nil {
		t.Error("ready with a certificate of another host")
	}

	server.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if err := probe("127.0.0.1", pool); err == nil {
		t.Error("ready after its end")
	}
}
