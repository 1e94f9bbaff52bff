package credentials

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

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
}

// Source makes sure that the source's Secret holds its credentials and the
// files for its API server. It returns ErrConflict where the Secret is another's.
func (i *Issuer) Source(ctx context.Context, source *v1alpha1.AuditSource) (Source, error) {
	name := SourceSecretPrefix + source.Name
	secret := &corev1.Secret{}
	err := i.client.Get(ctx, client.ObjectKey{Namespace: i.namespace, Name: name}, secret)
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return Source{}, fmt.Errorf("read the Secret %s/%s: %w", i.namespace, name, err)
	}
	if absent {
		secret = &corev1.Secret{ObjectMeta: i.meta(name)}
	} else if secret.Labels[SourceLabel] != source.Name {
		return Source{}, fmt.Errorf("secret %s/%s: %w", i.namespace, name, ErrConflict)
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
		return Source{}, fmt.Errorf("write the Secret %s/%s: %w", i.namespace, name, err)
	}
	return out, nil
}

// fill completes a source's Secret. What proves the source is kept as long as
// it is whole and the source is the one that it was made for.
func (i *Issuer) fill(secret *corev1.Secret, source *v1alpha1.AuditSource) (Source, error) {
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuditSource", Name: source.Name, UID: source.UID,
	}
	kept := secret.Data
	if len(secret.OwnerReferences) > 0 && secret.OwnerReferences[0].UID != source.UID {
		// Its source was deleted, and with it what that source had.
		kept = nil
	}
	secret.Labels[SourceLabel] = source.Name
	secret.OwnerReferences = []metav1.OwnerReference{owner}
	out := Source{Endpoint: i.endpoint(source.Name), SecretName: secret.Name}
	data := map[string][]byte{AuthorityKey: i.authority.pem, PolicyKey: []byte(policy)}
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
		token := kept[TokenKey]
		if len(token) < minTokenLength {
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

// clientCertificate returns the kept pair if it still serves, else a new one.
func (i *Issuer) clientCertificate(kept map[string][]byte, source string) (map[string][]byte, error) {
	certificate, err := parseCertificate(kept[corev1.TLSCertKey])
	if err == nil && len(kept[corev1.TLSPrivateKeyKey]) > 0 && i.authority.signed(certificate, x509.ExtKeyUsageClientAuth, "", i.now()) {
		return map[string][]byte{corev1.TLSCertKey: kept[corev1.TLSCertKey], corev1.TLSPrivateKeyKey: kept[corev1.TLSPrivateKeyKey]}, nil
	}
	return i.authority.issue(&x509.Certificate{
		// The random part makes each certificate revocable by itself.
		Subject:     pkix.Name{CommonName: clientNamePrefix + source + ":" + hex.EncodeToString(randomBytes(8))},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, i.now(), authorityLife)
}

func same(a, b *corev1.Secret) bool {
	return maps.EqualFunc(a.Data, b.Data, slices.Equal) && maps.Equal(a.Labels, b.Labels) &&
		slices.EqualFunc(a.OwnerReferences, b.OwnerReferences, func(a, b metav1.OwnerReference) bool { return a.UID == b.UID && a.Name == b.Name })
}

// policy is recommended for every API server. One rule: what a policy leaves
// out can't be found again, and Metadata holds no body and so no secret.
const policy = `# Every request at level Metadata: who, what, when, from where, with what
# result; no bodies. The stage RequestReceived says nothing that the later ones
# don't, and would double the volume.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`
