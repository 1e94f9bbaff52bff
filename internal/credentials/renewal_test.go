package credentials_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
)

const aDay = 24 * time.Hour

// renewing is a world whose collector runs, and a source with a client
// certificate.
type renewing struct {
	*world
	serving *credentials.Serving
	url     string
	source  *v1alpha1.AuditSource
	shown   atomic.Pointer[time.Time] // the clock, to the collector
}

func newRenewing(t *testing.T) *renewing {
	t.Helper()
	w := &renewing{world: newWorld(t), source: source("r", "1", v1alpha1.ClientCertificateAuth)}
	var err error
	if w.serving, err = w.Serving(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	server := webhook.NewServer(names, webhook.TLS{GetCertificate: w.serving.GetCertificate, ClientCAs: w.ClientCAs}, logr.Discard())
	clock := w.clock
	w.shown.Store(&clock)
	server.TLSConfig.Time = func() time.Time { return *w.shown.Load() }
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "https://" + listener.Addr().String()
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return w
}

// at moves the clock, has the collector and the source looked after, and
// returns the files of the source.
func (w *renewing) at(t *testing.T, clock time.Time) (map[string][]byte, credentials.Source) {
	t.Helper()
	w.clock = clock
	w.shown.Store(&clock)
	if err := w.serving.RenewOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	issued := w.world.source(t, w.source)
	return w.secret(t, issued.SecretName).Data, issued
}

// send connects with the files, and returns as whom.
func (w *renewing) send(t *testing.T, files map[string][]byte) (string, error) {
	t.Helper()
	pair, err := tls.X509KeyPair(files["tls.crt"], files["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(files["ca.crt"]) {
		t.Fatal("ca.crt holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, Time: func() time.Time { return *w.shown.Load() },
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	name, err := io.ReadAll(answer.Body)
	return string(name), err
}

func (w *renewing) accepts(t *testing.T, files map[string][]byte, name, what string) {
	t.Helper()
	if got, err := w.send(t, files); err != nil || got != name {
		t.Errorf("%s: %q, %v; want %q", what, got, err, name)
	}
}

func (w *renewing) refuses(t *testing.T, files map[string][]byte, what string) {
	t.Helper()
	if got, err := w.send(t, files); err == nil {
		t.Errorf("%s: accepted as %q", what, got)
	}
}

// authorityEnd is when the authority that signs the collector's certificate ends.
func (w *renewing) authorityEnd(t *testing.T) time.Time {
	t.Helper()
	return certificate(t, w.secret(t, credentials.AuthoritySecret).Data["tls.crt"]).NotAfter
}

// TestAuthorityIsRenewed goes through the renewal of the authority by real
// handshakes: with the files of before, with the new ones, and with both mixed.
func TestAuthorityIsRenewed(t *testing.T) {
	w := newRenewing(t)
	old, issued := w.at(t, w.clock)
	name, end := issued.ClientCommonName, w.authorityEnd(t)
	w.accepts(t, old, name, "at first")

	if files, issued := w.at(t, end.Add(-2*365*aDay-time.Minute)); !maps.EqualFunc(files, old, bytes.Equal) || !issued.CopyBefore.IsZero() {
		t.Error("renewed without need")
	}
	begun := end.Add(-2 * 365 * aDay)
	if files, issued := w.at(t, begun); !maps.EqualFunc(files, old, bytes.Equal) || !issued.CopyBefore.IsZero() {
		t.Error("the source got files of an authority that other replicas do not know yet")
	}
	w.at(t, begun.Add(3*time.Hour-time.Minute))
	renewed, issued := w.at(t, begun.Add(3*time.Hour))
	switches := begun.Add(365 * aDay)
	if maps.EqualFunc(renewed, old, bytes.Equal) || !issued.CopyBefore.Equal(switches) || issued.ClientCommonName != name {
		t.Errorf("the files are to be copied before %s as those of %q, want %s and %q", issued.CopyBefore, issued.ClientCommonName, switches, name)
	}
	again, other := w.at(t, begun.Add(4*time.Hour))
	if !maps.EqualFunc(renewed, again, bytes.Equal) {
		t.Error("the files changed again without a reason")
	}
	if got, err := w.Issued(t.Context(), w.source); err != nil || got.ClientCommonName != other.ClientCommonName {
		t.Errorf("a replica that issues nothing knows %+v, %v", got, err)
	}
	oldClient := maps.Clone(renewed)
	oldClient["tls.crt"], oldClient["tls.key"] = old["tls.crt"], old["tls.key"]

	w.at(t, switches.Add(-time.Minute))
	w.accepts(t, old, name, "the old files, in the overlap")
	w.accepts(t, renewed, name, "the new files, in the overlap")
	w.accepts(t, oldClient, name, "the new ca.crt with the old certificate, in the overlap")

	if _, issued := w.at(t, switches); !issued.CopyBefore.IsZero() {
		t.Error("the files are to be copied for ever")
	}
	w.refuses(t, old, "the old files, after the overlap")
	w.accepts(t, renewed, name, "the new files, after the overlap")
	w.accepts(t, oldClient, name, "the new ca.crt with the old certificate, after the overlap")
	if last, _ := w.at(t, switches.Add(time.Hour)); !bytes.Equal(last["tls.crt"], renewed["tls.crt"]) {
		t.Error("the certificate changed once more")
	}

	last, _ := w.at(t, end.Add(time.Minute))
	w.accepts(t, renewed, name, "the new files, after the old authority's end")
	w.refuses(t, oldClient, "a certificate of the old authority, after its end")
	if n := bytes.Count(last["ca.crt"], []byte("BEGIN CERTIFICATE")); n != 1 {
		t.Errorf("ca.crt holds %d certificates, want the new one", n)
	}
	if next := w.authorityEnd(t); !next.After(end.Add(7 * 365 * aDay)) {
		t.Errorf("the new authority ends at %s", next)
	}
}

// TestAuthorityIsRenewedLate: without time for an overlap, the next one takes
// over a day before the end and no sooner.
func TestAuthorityIsRenewedLate(t *testing.T) {
	w := newRenewing(t)
	old, issued := w.at(t, w.clock)
	name, end := issued.ClientCommonName, w.authorityEnd(t)
	begun := end.Add(-10 * aDay)
	w.at(t, begun)
	renewed, issued := w.at(t, begun.Add(3*time.Hour))
	if want := end.Add(-aDay); !issued.CopyBefore.Equal(want) {
		t.Errorf("the files are to be copied before %s, want %s", issued.CopyBefore, want)
	}
	w.at(t, end.Add(-aDay-time.Second))
	w.accepts(t, old, name, "the old files, before the last day")
	w.accepts(t, renewed, name, "the new files, before the last day")
	w.at(t, end.Add(-aDay))
	w.refuses(t, old, "the old files, on the last day")
	w.accepts(t, renewed, name, "the new files, on the last day")
	w.at(t, end.Add(aDay))
	w.accepts(t, renewed, name, "the new files, after the end")
}

// TestAuthorityEndedMeanwhile: an operator that starts after the end takes all
// steps at once.
func TestAuthorityEndedMeanwhile(t *testing.T) {
	w := newRenewing(t)
	_, issued := w.at(t, w.clock)
	name := issued.ClientCommonName
	files, issued := w.at(t, w.authorityEnd(t).Add(aDay))
	if issued.ClientCommonName == name || !issued.CopyBefore.IsZero() {
		t.Errorf("issued %+v after %s", issued, name)
	}
	w.accepts(t, files, issued.ClientCommonName, "the new files")
	if left := w.secret(t, credentials.AuthoritySecret).Data; len(left) != 2 {
		t.Errorf("the authority's Secret holds %d keys, want those of the new one", len(left))
	}
}

// TestServingOfAClockAhead: what a wrong clock had made is replaced when the
// clock is right again, since no source believes it yet.
func TestServingOfAClockAhead(t *testing.T) {
	w := newRenewing(t)
	_, issued := w.at(t, w.clock)
	right := w.clock.Add(200 * aDay)
	w.at(t, right.Add(100*aDay)) // renews
	files, _ := w.at(t, right)
	w.accepts(t, files, issued.ClientCommonName, "by the right clock")
}

// TestCertificateMetrics compares what is told with what is served and held.
func TestCertificateMetrics(t *testing.T) {
	w := newRenewing(t)
	end := w.authorityEnd(t)
	check := func(copyBefore int64, when string) {
		t.Helper()
		pair, err := w.serving.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(w.serving)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					name += " " + label.GetValue()
				}
				got[name] = int64(metric.GetGauge().GetValue())
			}
		}
		want := map[string]int64{
			"audit_certificate_expiry_timestamp_seconds authority": w.authorityEnd(t).Unix(),
			"audit_certificate_expiry_timestamp_seconds serving":   pair.Leaf.NotAfter.Unix(),
			"audit_source_files_copy_before_timestamp_seconds":     copyBefore,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	check(0, "at first")
	begun := end.Add(-2 * 365 * aDay)
	w.at(t, begun)
	check(0, "while replicas learn of the next authority")
	w.at(t, begun.Add(3*time.Hour))
	check(begun.Add(365*aDay).Unix(), "while files are to be copied")
	w.at(t, begun.Add(365*aDay))
	check(0, "after the next authority took over")
}

// TestAuthorityIsRenewedOnDemand has it renewed by annotations.
func TestAuthorityIsRenewedOnDemand(t *testing.T) {
	w := newRenewing(t)
	old, issued := w.at(t, w.clock)
	name, begun := issued.ClientCommonName, w.clock
	annotate := func(value string) {
		t.Helper()
		secret := w.secret(t, credentials.AuthoritySecret)
		secret.Annotations = map[string]string{credentials.RenewAnnotation: value}
		w.update(t, secret)
	}
	done := func(what string) {
		t.Helper()
		if left := w.secret(t, credentials.AuthoritySecret).Annotations; len(left) > 0 {
			t.Errorf("after it was done the Secret still asks to %s: %v", what, left)
		}
	}
	annotate(credentials.RenewPrepare)
	w.at(t, begun)
	done("prepare")
	annotate(credentials.RenewSwitch) // too early: it has to wait for the replicas
	w.at(t, begun.Add(time.Hour))
	w.accepts(t, old, name, "before every replica knows")
	secret := w.secret(t, credentials.AuthoritySecret)
	secret.Annotations = nil
	w.update(t, secret)
	renewed, _ := w.at(t, begun.Add(4*time.Hour))
	w.accepts(t, old, name, "the old files")
	w.accepts(t, renewed, name, "the new files")
	annotate(credentials.RenewSwitch)
	w.at(t, begun.Add(5*time.Hour))
	w.refuses(t, old, "the old files after the switch")
	w.accepts(t, renewed, name, "the new files after the switch")
	done("switch")
}

// TestAuthorityIsGone: a Secret that somebody deleted shuts nobody out before
// the next start.
func TestAuthorityIsGone(t *testing.T) {
	w := newRenewing(t)
	files, issued := w.at(t, w.clock)
	if err := apiserver.Delete(t.Context(), w.secret(t, credentials.AuthoritySecret)); err != nil {
		t.Fatal(err)
	}
	if err := w.serving.RenewOnce(t.Context()); err == nil {
		t.Error("nothing is said of a Secret that is gone")
	}
	w.accepts(t, files, issued.ClientCommonName, "as before")
}

// TestReplicasRenewAtOnce: replicas that find the renewal due at once come to
// know the same authorities.
func TestReplicasRenewAtOnce(t *testing.T) {
	w := newWorld(t)
	w.startMany(t)
	end := certificate(t, w.secret(t, credentials.AuthoritySecret).Data["tls.crt"]).NotAfter
	for _, clock := range []time.Time{end.Add(-2 * 365 * aDay), end.Add(-365 * aDay), end.Add(time.Minute)} {
		w.clock = clock
		w.startMany(t)
	}
}

// TestBrokenNextAuthority: the error says what to do.
func TestBrokenNextAuthority(t *testing.T) {
	w := newWorld(t)
	secret := w.secret(t, credentials.AuthoritySecret)
	secret.Data["next.crt"] = secret.Data[corev1.TLSCertKey]
	w.update(t, secret)
	if _, err := credentials.New(t.Context(), apiserver, w.opts); err == nil || !bytes.Contains([]byte(err.Error()), []byte("remove next.crt")) {
		t.Errorf("got %v", err)
	}
}
