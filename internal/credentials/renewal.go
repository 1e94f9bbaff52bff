package credentials

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The authority is replaced in three steps, since the files of sources are
// copied by hand:
//
//  1. The next one is made. The collector believes certificates of both, and
//     its own is still of the old one. After authoritySettles, the Secrets of
//     sources hold both certificates, and client certificates of the next one.
//  2. After authorityOverlap the next one takes over: the collector's
//     certificate is of it. Client certificates of the old one go on.
//  3. The old one ends, and is forgotten.
const (
	// authorityOverlap is how long sources may take to get their new files.
	authorityOverlap = 365 * 24 * time.Hour
	// authoritySettles is after how long every replica knows a new authority:
	// each looks every renewEvery.
	authoritySettles = 3 * renewEvery
	renewEvery       = time.Hour
	// lastDay is when the next one takes over at the latest, even where the
	// operator did not run in time for an overlap.
	lastDay = 24 * time.Hour
)

// RenewAnnotation, on the Secret of the authority, has it renewed now.
const RenewAnnotation = "audit.porter.run/renew"

// Values of RenewAnnotation.
const (
	RenewPrepare = "prepare" // make the next authority
	RenewSwitch  = "switch"  // have it take over without waiting any longer
)

// Keys of the authority's Secret, beside corev1.TLSCertKey and
// corev1.TLSPrivateKeyKey.
const (
	nextCertKey       = "next.crt"
	nextPrivateKeyKey = "next.key"
	previousCertKey   = "previous.crt"
)

// authorities are the one that signs the collector's certificate and those
// before and after it, which are nil where there is none.
type authorities struct {
	current, next, previous *authority
}

func parseAuthorities(data map[string][]byte) (*authorities, error) {
	var a authorities
	var err error
	if a.current, err = parseAuthority(data); err != nil {
		return nil, err
	}
	if len(data[nextCertKey]) > 0 {
		next := map[string][]byte{corev1.TLSCertKey: data[nextCertKey], corev1.TLSPrivateKeyKey: data[nextPrivateKeyKey]}
		if a.next, err = parseAuthority(next); err != nil {
			return nil, fmt.Errorf("the next authority (remove next.crt and next.key to have it made anew): %w", err)
		}
	}
	if len(data[previousCertKey]) > 0 {
		certificate, err := parseCertificate(data[previousCertKey])
		if err != nil {
			return nil, fmt.Errorf("previous.crt: %w", err)
		}
		a.previous = &authority{certificate: certificate, pem: data[previousCertKey]}
	}
	return &a, nil
}

// trusted are those whose certificates are believed, the signing one first.
func (a *authorities) trusted() []*authority {
	all := []*authority{a.current}
	for _, other := range []*authority{a.next, a.previous} {
		if other != nil {
			all = append(all, other)
		}
	}
	return all
}

func (a *authorities) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, one := range a.trusted() {
		pool.AddCert(one.certificate)
	}
	return pool
}

// settled reports whether every replica knows the next authority.
func (a *authorities) settled(now time.Time) bool {
	return a.next != nil && now.Sub(a.next.made()) >= authoritySettles
}

// forClients is the one that signs the certificates of sources.
func (a *authorities) forClients(now time.Time) *authority {
	if a.settled(now) {
		return a.next
	}
	return a.current
}

// bundle is what sources are to trust.
func (a *authorities) bundle(now time.Time) []byte {
	var all []byte
	for _, one := range a.trusted() {
		if one != a.next || a.settled(now) {
			all = append(all, one.pem...)
		}
	}
	return all
}

// switches is when the next authority takes over.
func (a *authorities) switches() time.Time {
	at, last := a.next.made().Add(authorityOverlap), a.current.certificate.NotAfter.Add(-lastDay)
	if last.Before(at) {
		return last
	}
	return at
}

// made is when an authority was made.
func (a *authority) made() time.Time { return a.certificate.NotBefore.Add(clockSkew) }

// advance takes all steps that are due in the authority's Secret: several, where
// the operator did not run for long.
func advance(secret *corev1.Secret, now time.Time) (changed bool, err error) {
	for {
		stepped, err := step(secret, now)
		if err != nil || !stepped {
			return changed, err
		}
		changed = true
	}
}

// step takes one.
func step(secret *corev1.Secret, now time.Time) (stepped bool, err error) {
	a, err := parseAuthorities(secret.Data)
	if err != nil {
		return false, err
	}
	asked := secret.Annotations[RenewAnnotation]
	switch {
	case a.next != nil && (!now.Before(a.switches()) || asked == RenewSwitch && a.settled(now)):
		secret.Data = map[string][]byte{
			corev1.TLSCertKey: a.next.pem, corev1.TLSPrivateKeyKey: secret.Data[nextPrivateKeyKey], previousCertKey: a.current.pem,
		}
		delete(secret.Annotations, RenewAnnotation)
	case a.next == nil && (!now.Before(a.current.certificate.NotAfter.Add(-2*authorityOverlap)) || asked == RenewPrepare):
		made, err := newAuthority(now)
		if err != nil {
			return false, err
		}
		secret.Data[nextCertKey], secret.Data[nextPrivateKeyKey] = made[corev1.TLSCertKey], made[corev1.TLSPrivateKeyKey]
		delete(secret.Annotations, RenewAnnotation)
	case a.previous != nil && now.After(a.previous.certificate.NotAfter):
		delete(secret.Data, previousCertKey)
	default:
		return false, nil
	}
	return true, nil
}

// renewAuthority takes the steps that are due and has the issuer know what its
// Secret holds. Where another replica was faster, that is what it did.
func (i *Issuer) renewAuthority(ctx context.Context) error {
	key := client.ObjectKey{Namespace: i.namespace, Name: AuthoritySecret}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		secret := &corev1.Secret{}
		err := i.client.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) {
			// A new one would shut every source out at once. A start makes one.
			return fmt.Errorf("the Secret %s is gone: restore it, or restart the operator and connect every source anew: %w", key, err)
		}
		if err != nil {
			return fmt.Errorf("read the Secret %s: %w", key, err)
		}
		changed, err := advance(secret, i.now())
		if err != nil {
			return fmt.Errorf("secret %s: %w", key, err)
		}
		if changed {
			if err := i.client.Update(ctx, secret); err != nil {
				return fmt.Errorf("write the Secret %s: %w", key, err)
			}
		}
		held, err := parseAuthorities(secret.Data)
		if err != nil {
			return fmt.Errorf("secret %s: %w", key, err)
		}
		i.held.Store(held)
		return nil
	})
}

// CopyBefore returns by when the files of sources are to be copied anew, or
// the zero time if they need not be.
func (i *Issuer) CopyBefore() time.Time {
	a := i.held.Load()
	if !a.settled(i.now()) {
		return time.Time{}
	}
	return a.switches().UTC()
}

// signedByAny reports whether a certificate of a source is believed now.
func (a *authorities) signedByAny(c *x509.Certificate, now time.Time) bool {
	for _, one := range a.trusted() {
		if one.signed(c, x509.ExtKeyUsageClientAuth, "", now) {
			return true
		}
	}
	return false
}
