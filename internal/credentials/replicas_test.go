package credentials_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/credentials"
)

// held is what a replica serves and signs with.
type held struct {
	Certificate, Hash, Block string
	authority                *x509.CertPool
}

// start does what a replica does at its start.
func (w *world) start(t *testing.T) (held, error) {
	issuer, err := credentials.New(t.Context(), apiserver, w.opts)
	if err != nil {
		return held{}, err
	}
	serving, err := issuer.Serving(t.Context())
	if err != nil {
		return held{}, err
	}
	pair, err := serving.GetCertificate(nil)
	if err != nil {
		return held{}, err
	}
	hash, block, err := issuer.SessionKeys(t.Context())
	return held{string(pair.Certificate[0]), string(hash), string(block), issuer.ClientCAs()}, err
}

// startMany starts replicas at once, which must come to hold the same.
func (w *world) startMany(t *testing.T) held {
	t.Helper()
	var all [8]held
	var group errgroup.Group
	for i := range all {
		group.Go(func() (err error) {
			all[i], err = w.start(t)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if diff := cmp.Diff(all[0], all[i], cmp.AllowUnexported(held{})); diff != "" {
			t.Fatalf("replica %d holds others than replica 0:\n%s", i, diff)
		}
	}
	return all[0]
}

// Replicas that start at once on an empty namespace, and those that renew a
// certificate at once, come to hold the same.
func TestReplicasAtOnce(t *testing.T) {
	w := newWorld(t)
	first := w.startMany(t)
	if again := w.startMany(t); again.Certificate != first.Certificate {
		t.Error("a new certificate without a reason")
	}
	w.clock = w.clock.Add(300 * 24 * time.Hour)
	renewed := w.startMany(t)
	if renewed.Certificate == first.Certificate {
		t.Error("not renewed in its last third")
	}
	if renewed.Hash != first.Hash {
		t.Error("sessions ended with the certificate")
	}
}

// A replica that issues nothing knows of each credential what the one that
// issues does, and accepts nothing that a Secret no longer proves.
func TestIssued(t *testing.T) {
	w := newWorld(t)
	for _, auth := range []v1alpha1.AuditSourceAuth{v1alpha1.TokenAuth, v1alpha1.ClientCertificateAuth} {
		t.Run(string(auth), func(t *testing.T) {
			name := map[v1alpha1.AuditSourceAuth]string{v1alpha1.TokenAuth: "t", v1alpha1.ClientCertificateAuth: "c"}[auth]
			s := source(name, "1", auth)
			w.notIssued(t, s, credentials.ErrNotIssued, "before")
			want := w.source(t, s)
			got, err := w.Issued(t.Context(), s)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			w.notIssued(t, source(name, "2", auth), credentials.ErrNotIssued, "for a source made anew by the name")

			for what, change := range map[string]func(*corev1.Secret){
				"with half of it gone": func(s *corev1.Secret) { delete(s.Data, "token"); delete(s.Data, "tls.key") },
				"when it is short or of another authority": func(s *corev1.Secret) {
					s.Data["token"], s.Data["tls.crt"] = []byte("short"), newWorld(t).secret(t, credentials.AuthoritySecret).Data["tls.crt"]
				},
			} {
				secret := w.secret(t, want.SecretName)
				whole := secret.DeepCopy()
				change(secret)
				w.update(t, secret)
				w.notIssued(t, s, credentials.ErrNotIssued, what)
				whole.ResourceVersion = ""
				w.update(t, whole)
			}
			secret := w.secret(t, want.SecretName)
			secret.Labels = nil
			w.update(t, secret)
			w.notIssued(t, s, credentials.ErrConflict, "when the Secret is another's")
		})
	}
}

func (w *world) update(t *testing.T, o client.Object) {
	t.Helper()
	if err := apiserver.Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func (w *world) notIssued(t *testing.T, s *v1alpha1.AuditSource, want error, when string) {
	t.Helper()
	if got, err := w.Issued(t.Context(), s); !errors.Is(err, want) {
		t.Errorf("%s: %+v, %v; want %v", when, got, err, want)
	}
}
