package credentials

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
)

// ClientCAs returns the authorities that sign the certificates of sources and
// of the collector, as they are now: they change while the operator runs.
func (i *Issuer) ClientCAs() *x509.CertPool { return i.held.Load().pool() }

// Serving is the collector's certificate, renewed while it is served.
type Serving struct {
	issuer  *Issuer
	current atomic.Pointer[tls.Certificate]
}

// Serving returns the collector's certificate for the ingest URL's host.
func (i *Issuer) Serving(ctx context.Context) (*Serving, error) {
	s := &Serving{issuer: i}
	return s, s.serve(ctx)
}

// GetCertificate is for tls.Config.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}

// Renew renews the certificate in its last third, and the authority in time,
// until ctx ends. When the API server is away it serves what it has and tries
// again an hour later.
func (s *Serving) Renew(ctx context.Context, log logr.Logger) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.RenewOnce(ctx); err != nil && ctx.Err() == nil {
				log.Error(err, "Could not look after the collector's certificate")
			}
		}
	}
}

// RenewOnce renews what is due.
func (s *Serving) RenewOnce(ctx context.Context) error {
	return errors.Join(s.issuer.renewAuthority(ctx), s.serve(ctx))
}

// serve serves what the Secret holds, after it has replaced what should not be
// served any longer. Where another replica was faster, its certificate is the one.
func (s *Serving) serve(ctx context.Context) error {
	var secret *corev1.Secret
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		secret, err = s.issuer.servingSecret(ctx)
		return err
	})
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return fmt.Errorf("secret %s/%s: %w; delete it to get a new one", s.issuer.namespace, ServingSecret, err)
	}
	s.current.Store(&pair)
	return nil
}

func (i *Issuer) servingSecret(ctx context.Context) (*corev1.Secret, error) {
	secret, err := i.once(ctx, ServingSecret, corev1.SecretTypeTLS, i.newServing)
	if err != nil {
		return nil, err
	}
	certificate, err := parseCertificate(secret.Data[corev1.TLSCertKey])
	current, now := i.held.Load().current, i.now()
	until := now.Add(servingLife / 3)
	if ends := current.certificate.NotAfter; ends.Before(until) {
		until = ends
	}
	if err == nil && !now.Before(certificate.NotBefore) && current.signed(certificate, x509.ExtKeyUsageServerAuth, i.IngestHost(), until) {
		return secret, nil
	}
	// Too old, made by a clock that was ahead, of another authority, or for
	// another host.
	if secret.Data, err = i.newServing(); err != nil {
		return nil, err
	}
	if err := i.client.Update(ctx, secret); err != nil {
		return nil, fmt.Errorf("write the Secret %s/%s: %w", i.namespace, ServingSecret, err)
	}
	return secret, nil
}

func (i *Issuer) newServing() (map[string][]byte, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "audit-operator collector"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(i.IngestHost()); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{i.IngestHost()}
	}
	return i.held.Load().current.issue(template, i.now(), servingLife)
}
