package credentials_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/credentials"
)

var apiserver client.Client

func TestMain(m *testing.M) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		panic("KUBEBUILDER_ASSETS is not set; run: export KUBEBUILDER_ASSETS=$(hack/controlplane.sh)")
	}
	env := &envtest.Environment{}
	config, err := env.Start()
	if err != nil {
		panic(err)
	}
	if apiserver, err = client.New(config, client.Options{}); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := env.Stop(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// world is an issuer in a namespace of its own, with a clock to set.
type world struct {
	*credentials.Issuer
	namespace string
	clock     time.Time
	opts      credentials.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "audit-"}}
	if err := apiserver.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	w := &world{namespace: ns.Name, clock: time.Now()}
	w.opts = credentials.Options{Namespace: ns.Name, IngestURL: "https://127.0.0.1:8443", Now: func() time.Time { return w.clock }}
	w.restart(t)
	return w
}

func (w *world) restart(t *testing.T) {
	t.Helper()
	issuer, err := credentials.New(t.Context(), apiserver, w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.Issuer = issuer
}

func (w *world) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := apiserver.Get(t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) source(t *testing.T, s *v1alpha1.AuditSource) credentials.Source {
	t.Helper()
	got, err := w.Source(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func source(name, uid string, auth v1alpha1.AuditSourceAuth) *v1alpha1.AuditSource {
	return &v1alpha1.AuditSource{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)},
		Spec:       v1alpha1.AuditSourceSpec{Cluster: "dev", Auth: auth},
	}
}

func TestSourceWithToken(t *testing.T) {
	w := newWorld(t)
	first := w.source(t, source("a", "1", v1alpha1.TokenAuth))
	secret := w.secret(t, first.SecretName)
	want := credentials.Source{
		Endpoint: "https://127.0.0.1:8443/audit/v1/sources/a", SecretName: "audit-source-a",
		TokenSHA256: [][32]byte{sha256.Sum256(secret.Data["token"])},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}

	w.restart(t)
	again := w.source(t, source("a", "1", v1alpha1.TokenAuth))
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("not the same after a restart: %s", diff)
	}
	if now := w.secret(t, first.SecretName); now.ResourceVersion != secret.ResourceVersion {
		t.Error("the Secret was written again without a reason")
	}

	// A source that was deleted and made anew must not accept the old token.
	other := w.source(t, source("a", "2", v1alpha1.TokenAuth))
	if other.TokenSHA256[0] == first.TokenSHA256[0] {
		t.Error("the token outlived its source")
	}

	if err := apiserver.Delete(t.Context(), w.secret(t, first.SecretName)); err != nil {
		t.Fatal(err)
	}
	if last := w.source(t, source("a", "2", v1alpha1.TokenAuth)); last.TokenSHA256[0] == other.TokenSHA256[0] {
		t.Error("deleting the Secret did not make a new token")
	}
}

func TestSourceFilesAreWhatAnAPIServerReads(t *testing.T) {
	w := newWorld(t)
	for _, auth := range []v1alpha1.AuditSourceAuth{v1alpha1.TokenAuth, v1alpha1.ClientCertificateAuth} {
		t.Run(string(auth), func(t *testing.T) {
			got := w.source(t, source("files", "1", auth))
			dir := t.TempDir()
			for name, data := range w.secret(t, got.SecretName).Data {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			rules := clientcmd.ClientConfigLoadingRules{ExplicitPath: filepath.Join(dir, "kubeconfig")}
			config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&rules, nil).ClientConfig()
			if err != nil {
				t.Fatal(err)
			}
			if config.Host != got.Endpoint || config.CAFile != filepath.Join(dir, "ca.crt") {
				t.Errorf("host %s, authority %s", config.Host, config.CAFile)
			}
			file := config.BearerTokenFile
			if auth == v1alpha1.ClientCertificateAuth {
				file = config.CertFile
			}
			if filepath.Dir(file) != dir {
				t.Errorf("the credential is in %q, not beside the kubeconfig", file)
			}
			var policy auditv1.Policy
			err = yaml.UnmarshalStrict(w.secret(t, got.SecretName).Data["policy.yaml"], &policy)
			if err != nil {
				t.Fatal(err)
			}
			want := auditv1.Policy{
				TypeMeta: metav1.TypeMeta{APIVersion: "audit.k8s.io/v1", Kind: "Policy"}, OmitStages: []auditv1.Stage{auditv1.StageRequestReceived},
				Rules: []auditv1.PolicyRule{
					{Level: auditv1.LevelRequest, Verbs: []string{"delete", "deletecollection"}},
					{Level: auditv1.LevelRequest, Verbs: []string{"create"}, Resources: []auditv1.GroupResources{{Resources: []string{"pods/eviction"}}}},
					{Level: auditv1.LevelMetadata},
				},
			}
			if diff := cmp.Diff(want, policy); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourceWithClientCertificate(t *testing.T) {
	w := newWorld(t)
	first := w.source(t, source("c", "1", v1alpha1.ClientCertificateAuth))
	secret := w.secret(t, first.SecretName)
	if _, ok := secret.Data["token"]; ok || len(first.TokenSHA256) > 0 {
		t.Error("there is a token as well")
	}
	leaf := certificate(t, secret.Data["tls.crt"])
	_, err := leaf.Verify(x509.VerifyOptions{Roots: w.ClientCAs(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil || leaf.Subject.CommonName != first.ClientCommonName {
		t.Errorf("certificate of %s: %v", leaf.Subject, err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: w.ClientCAs(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("a source could serve as the collector")
	}
	if again := w.source(t, source("c", "1", v1alpha1.ClientCertificateAuth)); again.ClientCommonName != first.ClientCommonName {
		t.Error("a new certificate was made without a reason")
	}
	if err := apiserver.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if next := w.source(t, source("c", "1", v1alpha1.ClientCertificateAuth)); next.ClientCommonName == first.ClientCommonName {
		t.Error("deleting the Secret did not revoke the certificate")
	}
}

func TestSourceOfAnothersSecret(t *testing.T) {
	w := newWorld(t)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "audit-source-x"}, Data: map[string][]byte{"mine": []byte("1")}}
	if err := apiserver.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Source(t.Context(), source("x", "1", v1alpha1.TokenAuth)); !errors.Is(err, credentials.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(foreign.Data, w.secret(t, foreign.Name).Data); diff != "" {
		t.Errorf("another's Secret was changed: %s", diff)
	}
}

func TestServing(t *testing.T) {
	w := newWorld(t)
	serve := func() *x509.Certificate {
		t.Helper()
		s, err := w.Serving(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pair, err := s.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: w.ClientCAs(), DNSName: "127.0.0.1", CurrentTime: w.clock}); err != nil {
			t.Fatal(err)
		}
		return pair.Leaf
	}
	first := serve()
	w.restart(t)
	if again := serve(); !again.Equal(first) {
		t.Error("a new certificate after a restart")
	}
	w.clock = w.clock.Add(300 * 24 * time.Hour)
	renewed := serve()
	if renewed.Equal(first) {
		t.Error("not renewed in its last third")
	}
	if err := apiserver.Delete(t.Context(), w.secret(t, credentials.AuthoritySecret)); err != nil {
		t.Fatal(err)
	}
	w.restart(t)
	if serve().Equal(renewed) {
		t.Error("a certificate of an authority that is gone")
	}

	w.opts.IngestURL = "https://audit.example.com"
	w.restart(t)
	s, err := w.Serving(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pair, _ := s.GetCertificate(nil)
	if err := pair.Leaf.VerifyHostname("audit.example.com"); err != nil {
		t.Errorf("after the ingest URL changed: %v", err)
	}
}

func TestSessionKeysStay(t *testing.T) {
	w := newWorld(t)
	keys := func(ctx context.Context) [2]string {
		t.Helper()
		hash, block, err := w.SessionKeys(ctx)
		if err != nil || len(hash) != 64 || len(block) != 32 {
			t.Fatalf("%d and %d bytes, %v", len(hash), len(block), err)
		}
		return [2]string{string(hash), string(block)}
	}
	first := keys(t.Context())
	w.restart(t)
	if keys(t.Context()) != first {
		t.Error("sessions would end with the process")
	}
}

func TestNewRefusesAWrongURL(t *testing.T) {
	for _, wrong := range []string{"", "http://10.0.0.5", "https://", "10.0.0.5:8443", "https://[::1"} {
		if _, err := credentials.New(t.Context(), apiserver, credentials.Options{Namespace: "default", IngestURL: wrong}); err == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

func certificate(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("no PEM block")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
