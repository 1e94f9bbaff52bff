// Package credentials makes and keeps what the operator and its sources prove
// themselves with, in Secrets of the operator's own namespace: an authority,
// the collector's certificate, the key of the dashboard's sessions, and for
// each AuditSource the files that its API server is given.
//
// Everything is made once and found again, by all replicas: whoever comes
// second takes what the first has made. Deleting a Secret makes a new one; that
// of the authority, at the next start.
package credentials

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/internal/collector/webhook"
)

// Names of the Secrets. A source's is SourceSecretPrefix and its name.
const (
	AuthoritySecret    = "audit-operator-ca"
	ServingSecret      = "audit-operator-serving"
	SessionsSecret     = "audit-operator-sessions"
	SourceSecretPrefix = "audit-source-"
)

// SourceLabel names, on a Secret, the AuditSource that it was made for.
const SourceLabel = "audit.porter.run/source"

const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "audit-operator"
)

// ErrNotIssued means that a source has no credentials, or none that serve now.
var ErrNotIssued = errors.New("the source has no credentials yet")

// ErrConflict means that a Secret of the name exists and is another's.
var ErrConflict = errors.New("a Secret of this name exists and was not made by the operator; rename or delete it")

// Options of New.
type Options struct {
	Namespace string // of the Secrets
	IngestURL string // https URL at which API servers reach the collector
	// Now is the clock of certificates (default time.Now).
	Now func() time.Time
}

// Issuer makes credentials. Its methods may be called at once.
type Issuer struct {
	client    client.Client
	namespace string
	ingest    *url.URL
	now       func() time.Time
	held      *atomic.Pointer[authorities]
}

// New returns an issuer with the authority that the namespace holds, or with a
// new one.
func New(ctx context.Context, c client.Client, opts Options) (*Issuer, error) {
	ingest, err := url.Parse(opts.IngestURL)
	if err != nil || ingest.Scheme != "https" || ingest.Hostname() == "" {
		return nil, fmt.Errorf("ingest URL %q: give an https URL, like https://10.0.0.5:8443", opts.IngestURL)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	i := &Issuer{client: c, namespace: opts.Namespace, ingest: ingest, now: opts.Now, held: &atomic.Pointer[authorities]{}}
	_, err = i.once(ctx, AuthoritySecret, corev1.SecretTypeTLS, func() (map[string][]byte, error) { return newAuthority(i.now()) })
	if err != nil {
		return nil, err
	}
	if err := i.renewAuthority(ctx); err != nil {
		return nil, err
	}
	return i, nil
}

// With returns the same issuer that works through another client, such as one
// that reads from a cache.
func (i *Issuer) With(c client.Client) *Issuer {
	other := *i
	other.client = c
	return &other
}

// Namespace returns the namespace of the Secrets.
func (i *Issuer) Namespace() string { return i.namespace }

// IngestHost returns the host that the collector's certificate is for.
func (i *Issuer) IngestHost() string { return i.ingest.Hostname() }

// SessionKeys returns the keys that protect dashboard sessions: one to sign
// (64 bytes) and one to encrypt (32 bytes).
func (i *Issuer) SessionKeys(ctx context.Context) (hash, block []byte, err error) {
	secret, err := i.once(ctx, SessionsSecret, corev1.SecretTypeOpaque, func() (map[string][]byte, error) {
		return map[string][]byte{"hash": randomBytes(64), "block": randomBytes(32)}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	hash, block = secret.Data["hash"], secret.Data["block"]
	if len(hash) != 64 || len(block) != 32 {
		return nil, nil, fmt.Errorf("secret %s/%s: hash must have 64 bytes and block 32; delete it to get a new one", i.namespace, SessionsSecret)
	}
	return hash, block, nil
}

// once returns a Secret, made with what data returns where there is none.
func (i *Issuer) once(ctx context.Context, name string, kind corev1.SecretType, data func() (map[string][]byte, error)) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: i.namespace, Name: name}
	secret := &corev1.Secret{}
	err := i.client.Get(ctx, key, secret)
	if err == nil {
		return secret, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read the Secret %s: %w", key, err)
	}
	made, err := data()
	if err != nil {
		return nil, err
	}
	secret = &corev1.Secret{ObjectMeta: i.meta(name), Type: kind, Data: made}
	err = i.client.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) { // another replica was faster
		err = i.client.Get(ctx, key, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("write the Secret %s: %w", key, err)
	}
	return secret, nil
}

func (i *Issuer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: i.namespace, Name: name, Labels: map[string]string{managedByLabel: managedBy}}
}

func (i *Issuer) endpoint(source string) string {
	return strings.TrimSuffix(i.ingest.String(), "/") + webhook.PathPrefix + source
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
