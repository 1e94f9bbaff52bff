package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"
)

// probeTimeout is below that of the readiness probe, so that its answer is read.
const probeTimeout = 4 * time.Second

// Probe returns a readiness check: whether the collector that listens on the
// address answers now, with a certificate that sources accept as that of host.
func Probe(address net.Addr, host string, authorities func() *x509.CertPool) func(*http.Request) error {
	return func(r *http.Request) error {
		dialer := tls.Dialer{
			NetDialer: &net.Dialer{Timeout: probeTimeout}, // for the handshake as well
			Config:    &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host, RootCAs: authorities()},
		}
		conn, err := dialer.DialContext(r.Context(), address.Network(), address.String())
		if err != nil {
			return fmt.Errorf("the collector does not answer as sources expect: %w", err)
		}
		return conn.Close()
	}
}
