package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A dev environment that is older than this is torn down and brought up anew.
const certificateLife = 365 * 24 * time.Hour

// Files of the authorities. What the front proxy's has signed speaks for every
// user, so it signs nothing else.
const (
	clusterCA    = "ca"
	frontProxyCA = "front-proxy-ca"
)

// frontProxy is how an aggregated API server knows kube-apiserver.
const frontProxy = "front-proxy-client"

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// ensureCerts writes the authorities, the certificates of the API servers and
// the key that signs service account tokens, unless they are there.
func ensureCerts(dir string) error {
	for _, each := range []struct {
		authority, file string
		template        x509.Certificate
	}{
		{clusterCA, "apiserver", x509.Certificate{
			Subject:     pkix.Name{CommonName: apiServer},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
		}},
		{clusterCA, "sample-apiserver", x509.Certificate{
			Subject:     pkix.Name{CommonName: sampleAPIServer},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames:    []string{sampleService + "." + sampleNamespace + ".svc"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}},
		{frontProxyCA, "front-proxy", x509.Certificate{
			Subject:     pkix.Name{CommonName: frontProxy},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}},
	} {
		ca, err := ensureAuthority(dir, each.authority)
		if err != nil {
			return err
		}
		if exists(filepath.Join(dir, each.file+".crt")) {
			continue
		}
		if err := ca.issue(dir, each.file, &each.template); err != nil {
			return err
		}
	}
	if !exists(filepath.Join(dir, "service-accounts.key")) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		return writeKey(filepath.Join(dir, "service-accounts.key"), key)
	}
	return nil
}

// issueUser writes a client certificate, which names a user and its groups.
func issueUser(dir, file, user string, groups []string) error {
	ca, err := loadAuthority(dir, clusterCA)
	if err != nil {
		return err
	}
	return ca.issue(dir, file, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func ensureAuthority(dir, file string) (*authority, error) {
	ca, err := loadAuthority(dir, file)
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = newAuthority(dir, file)
	}
	if err != nil {
		return nil, fmt.Errorf("certificates in %s: %w", dir, err)
	}
	return ca, nil
}

func newAuthority(dir, file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	ca := &authority{key: key, certificate: &x509.Certificate{
		Subject:               pkix.Name{CommonName: "audit-operator dev environment " + file},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}}
	if err := ca.issue(dir, file, ca.certificate); err != nil {
		return nil, err
	}
	return loadAuthority(dir, file)
}

// issue signs a certificate and writes it and its key. The authority's own
// certificate keeps the authority's key.
func (a *authority) issue(dir, file string, template *x509.Certificate) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(certificateLife)
	key := a.key
	if !template.IsCA {
		template.KeyUsage = x509.KeyUsageDigitalSignature
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("sign the certificate %s: %w", file, err)
	}
	if err := writeKey(filepath.Join(dir, file+".key"), key); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, file+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func loadAuthority(dir, file string) (*authority, error) {
	certificate, err := readPEM(filepath.Join(dir, file+".crt"))
	if err != nil {
		return nil, err
	}
	key, err := readPEM(filepath.Join(dir, file+".key"))
	if err != nil {
		return nil, err
	}
	ca := &authority{}
	if ca.certificate, err = x509.ParseCertificate(certificate); err != nil {
		return nil, err
	}
	if ca.key, err = x509.ParseECPrivateKey(key); err != nil {
		return nil, err
	}
	return ca, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
