package credentials

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// A source whose certificate ends can't deliver any more, so these last as
	// long as the authority, and are issued anew with the next one. Deleting the
	// Secret, or the source, ends one early: each has a name of its own, and only
	// the last one made is accepted.
	authorityLife = 10 * 365 * 24 * time.Hour
	servingLife   = 365 * 24 * time.Hour
	// clockSkew is how far the clocks of a source's node may be behind.
	clockSkew = time.Hour
)

// authority signs the collector's certificate and those of sources.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte // of the certificate
}

func newAuthority(now time.Time) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "audit-operator"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return sign(template, template, key, key, now, authorityLife)
}

func parseAuthority(data map[string][]byte) (*authority, error) {
	certificate, err := parseCertificate(data[corev1.TLSCertKey])
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data[corev1.TLSPrivateKeyKey])
	if block == nil {
		return nil, errors.New("tls.key holds no PEM block; restore the Secret, or delete it and connect every source anew")
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("tls.key: %w", err)
	}
	return &authority{certificate: certificate, key: key, pem: data[corev1.TLSCertKey]}, nil
}

// issue returns a new key and its certificate, as a TLS Secret has them.
func (a *authority) issue(template *x509.Certificate, now time.Time, life time.Duration) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	life = min(life, a.certificate.NotAfter.Sub(now))
	return sign(template, a.certificate, key, a.key, now, life)
}

// signed reports whether the authority signed a certificate that serves the
// use now and until a later time.
func (a *authority) signed(c *x509.Certificate, use x509.ExtKeyUsage, host string, until time.Time) bool {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: until, KeyUsages: []x509.ExtKeyUsage{use}})
	return err == nil
}

func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey, now time.Time, life time.Duration) (map[string][]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-clockSkew), now.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}),
	}, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("tls.crt holds no PEM block")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("tls.crt: %w", err)
	}
	return certificate, nil
}
