package credentials

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
)

// Keys of a source's Secret, which are names of files beside each other.
const (
	KubeconfigKey = "kubeconfig"
	PolicyKey     = "policy.yaml"
	AuthorityKey  = "ca.crt"
	TokenKey      = "token"
	// With a client certificate, corev1.TLSCertKey and corev1.TLSPrivateKeyKey.
)

const clientNamePrefix = "audit-source:"

// Source is how a source sends, and how the collector knows it.
type Source struct {
	Endpoint   string
	SecretName string
	// TokenSHA256 is the hash of its bearer token, where it has one.
	TokenSHA256 [][32]byte
	// ClientCommonName is in its certificate, where it has one.
	ClientCommonName string
	// CopyBefore is by when its files are to be copied anew; zero if they need
	// not be.
	CopyBefore time.Time
}

// Source makes sure that the source's Secret holds its credentials and the
// files for its API server. It returns ErrConflict where the Secret is another's.
// Of several replicas only one may call it.
func (i *Issuer) Source(ctx context.Context, source *v1alpha1.AuditSource) (Source, error) {
	secret, err := i.sourceSecret(ctx, source)
	absent := errors.Is(err, ErrNotIssued)
	if err != nil && !absent {
		return Source{}, err
	}
	if absent {
		secret = &corev1.Secret{ObjectMeta: i.meta(SourceSecretPrefix + source.Name)}
	}
	before := secret.DeepCopy()
	out, err := i.fill(secret, source)
	if err != nil {
		return Source{}, err
	}
	switch {
	case absent:
		err = i.client.Create(ctx, secret)
	case !same(before, secret):
		err = i.client.Update(ctx, secret)
	}
	if err != nil {
		return Source{}, fmt.Errorf("write the Secret %s/%s: %w", i.namespace, secret.Name, err)
	}
	return out, nil
}

// Issued returns what the source's Secret holds and changes nothing. It returns
// ErrNotIssued until Source has made of the Secret what the source needs.
func (i *Issuer) Issued(ctx context.Context, source *v1alpha1.AuditSource) (Source, error) {
	secret, err := i.sourceSecret(ctx, source)
	if err != nil {
		return Source{}, err
	}
	out, kept := i.describe(source), keptFor(source, secret)
	if source.Spec.Auth == v1alpha1.ClientCertificateAuth {
		certificate, ok := i.keptCertificate(kept)
		if !ok {
			return Source{}, ErrNotIssued
		}
		out.ClientCommonName = certificate.Subject.CommonName
		return out, nil
	}
	token, ok := keptToken(kept)
	if !ok {
		return Source{}, ErrNotIssued
	}
	out.TokenSHA256 = [][32]byte{sha256.Sum256(token)}
	return out, nil
}

// sourceSecret reads a source's Secret.
func (i *Issuer) sourceSecret(ctx context.Context, source *v1alpha1.AuditSource) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: i.namespace, Name: SourceSecretPrefix + source.Name}
	err := i.client.Get(ctx, key, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, ErrNotIssued
	case err != nil:
		return nil, fmt.Errorf("read the Secret %s: %w", key, err)
	case secret.Labels[SourceLabel] != source.Name:
		return nil, fmt.Errorf("secret %s: %w", key, ErrConflict)
	}
	return secret, nil
}

func (i *Issuer) describe(source *v1alpha1.AuditSource) Source {
	return Source{Endpoint: i.endpoint(source.Name), SecretName: SourceSecretPrefix + source.Name, CopyBefore: i.CopyBefore()}
}

// keptFor returns what a Secret holds of the source. That of one that was
// deleted, and made anew by the same name, went with it.
func keptFor(source *v1alpha1.AuditSource, secret *corev1.Secret) map[string][]byte {
	if len(secret.OwnerReferences) > 0 && secret.OwnerReferences[0].UID != source.UID {
		return nil
	}
	return secret.Data
}

// fill completes a source's Secret. What proves the source is kept as long as
// it is whole and the source is the one that it was made for.
func (i *Issuer) fill(secret *corev1.Secret, source *v1alpha1.AuditSource) (Source, error) {
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuditSource", Name: source.Name, UID: source.UID,
	}
	kept := keptFor(source, secret)
	secret.Labels[SourceLabel] = source.Name
	secret.OwnerReferences = []metav1.OwnerReference{owner}
	out := i.describe(source)
	data := map[string][]byte{AuthorityKey: i.held.Load().bundle(i.now()), PolicyKey: []byte(policy)}
	user := &clientcmdapi.AuthInfo{}
	if source.Spec.Auth == v1alpha1.ClientCertificateAuth {
		pair, err := i.clientCertificate(kept, source.Name)
		if err != nil {
			return Source{}, err
		}
		maps.Copy(data, pair)
		certificate, err := parseCertificate(pair[corev1.TLSCertKey])
		if err != nil {
			return Source{}, err
		}
		out.ClientCommonName = certificate.Subject.CommonName
		user.ClientCertificate, user.ClientKey = corev1.TLSCertKey, corev1.TLSPrivateKeyKey
	} else {
		token, ok := keptToken(kept)
		if !ok {
			token = []byte(base64.RawURLEncoding.EncodeToString(randomBytes(32)))
		}
		data[TokenKey] = token
		out.TokenSHA256 = [][32]byte{sha256.Sum256(token)}
		user.TokenFile = TokenKey
	}
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"audit-operator": {Server: out.Endpoint, CertificateAuthority: AuthorityKey}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{source.Name: user},
		Contexts:       map[string]*clientcmdapi.Context{"audit": {Cluster: "audit-operator", AuthInfo: source.Name}},
		CurrentContext: "audit",
	})
	if err != nil {
		return Source{}, fmt.Errorf("write the kubeconfig of source %s: %w", source.Name, err)
	}
	data[KubeconfigKey] = kubeconfig
	secret.Data = data
	return out, nil
}

// minTokenLength is that of 128 bits; someone who puts a token of their own
// into the Secret must not make it guessable.
const minTokenLength = 22

func keptToken(kept map[string][]byte) (token []byte, ok bool) {
	token = kept[TokenKey]
	return token, len(token) >= minTokenLength
}

// keptCertificate returns the kept one if it still serves.
func (i *Issuer) keptCertificate(kept map[string][]byte) (*x509.Certificate, bool) {
	certificate, err := parseCertificate(kept[corev1.TLSCertKey])
	ok := err == nil && len(kept[corev1.TLSPrivateKeyKey]) > 0 && i.held.Load().signedByAny(certificate, i.now())
	return certificate, ok
}

// clientCertificate returns the kept pair if it is of the authority that signs
// now, else a new one. The name of one that still serves stays, and so it goes
// on being accepted until the new one is in its place.
func (i *Issuer) clientCertificate(kept map[string][]byte, source string) (map[string][]byte, error) {
	signer := i.held.Load().forClients(i.now())
	// The random part makes each certificate revocable by itself.
	name := clientNamePrefix + source + ":" + hex.EncodeToString(randomBytes(8))
	if certificate, ok := i.keptCertificate(kept); ok {
		if signer.signed(certificate, x509.ExtKeyUsageClientAuth, "", i.now()) {
			return map[string][]byte{corev1.TLSCertKey: kept[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: kept[corev1.TLSPrivateKeyKey]}, nil
		}
		name = certificate.Subject.CommonName
	}
	return signer.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, i.now(), authorityLife)
}

func same(a, b *corev1.Secret) bool {
	return maps.EqualFunc(a.Data, b.Data, slices.Equal) && maps.Equal(a.Labels, b.Labels) &&
		slices.EqualFunc(a.OwnerReferences, b.OwnerReferences, func(a, b metav1.OwnerReference) bool { return a.UID == b.UID && a.Name == b.Name })
}

// policy is recommended for every API server. It leaves nothing out: what isn't
// there can't be found again. Metadata holds no body and so no secret; the body
// of a delete or an eviction is its options.
const policy = `# Every request: who, what, when, from where, with what result. Of deletes and
# evictions also the options, which alone say whether it was a dry run; no other
# bodies. The stage RequestReceived says nothing that the later ones don't, and
# would double the volume.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Request
    verbs: [delete, deletecollection]
  - level: Request
    verbs: [create]
    resources:
      - group: ""
        resources: [pods/eviction]
  - level: Metadata
`
