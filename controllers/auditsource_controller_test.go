package controllers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/redact"
	"github.com/porter-dev/audit-operator/internal/store"
)

func newSource(name string) *v1alpha1.AuditSource {
	return &v1alpha1.AuditSource{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AuditSourceSpec{Cluster: ownCluster}}
}

func awaitSource(t *testing.T, s *v1alpha1.AuditSource, ready, receiving string) {
	t.Helper()
	await(t, s, func() error {
		r, e := condition(s, v1alpha1.ReadyCondition), condition(s, v1alpha1.ReceivingCondition)
		if r != ready || e != receiving || s.Status.ObservedGeneration != s.Generation {
			return fmt.Errorf("Ready %s, Receiving %s, want %s and %s", r, e, ready, receiving)
		}
		return nil
	})
}

func secretOf(t *testing.T, s *v1alpha1.AuditSource) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.Status.SecretRef.Namespace, Name: s.Status.SecretRef.Name}
	if err := admin.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// deliver posts one event as the source and returns the answer's code.
func deliver(t *testing.T, source, token string) int {
	t.Helper()
	at := time.Now().UTC().Format(time.RFC3339Nano)
	body := fmt.Sprintf(`{"items":[{"level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":"/version","verb":"get",`+
		`"user":{"username":"alice"},"requestReceivedTimestamp":%q,"stageTimestamp":%q}]}`, source+at, at, at)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathPrefix+source, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	ingest.ServeHTTP(w, r)
	return w.Code
}

func TestSource(t *testing.T) {
	s := newSource("life")
	create(t, s)
	awaitSource(t, s, "True/CredentialsIssued", "Unknown/NoEventsYet")
	if s.Status.Endpoint != "https://127.0.0.1:8443/audit/v1/sources/life" || !strings.Contains(s.Status.Usage, "--audit-webhook-config-file") {
		t.Errorf("status %+v", s.Status)
	}
	if got := kstatusOf(t, s); got != status.CurrentStatus {
		t.Errorf("kstatus says %s", got)
	}
	secret := secretOf(t, s)
	first := string(secret.Data[credentials.TokenKey])
	if got := deliver(t, s.Name, first); got != http.StatusOK {
		t.Fatalf("delivery answered %d", got)
	}
	if got := deliver(t, s.Name, "wrong"); got != http.StatusUnauthorized {
		t.Fatalf("delivery with a wrong token answered %d", got)
	}
	awaitSource(t, s, "True/CredentialsIssued", "True/EventsArriving")
	if s.Status.EventsReceived != 1 || s.Status.EventsStored != 1 || s.Status.LastEventTime == nil {
		t.Errorf("status %+v", s.Status)
	}

	// Deleting the Secret rotates the credential.
	if err := admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	await(t, secret, func() error {
		if got := string(secret.Data[credentials.TokenKey]); got == first || deliver(t, s.Name, got) != http.StatusOK {
			return fmt.Errorf("the token is %d bytes and not a new one that works", len(got))
		}
		return nil
	})
	if got := deliver(t, s.Name, first); got != http.StatusUnauthorized {
		t.Errorf("the old token's delivery answered %d", got)
	}

	last := string(secret.Data[credentials.TokenKey])
	if err := admin.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t, s.Name, last)
}

func awaitRefused(t *testing.T, source, token string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deliver(t, source, token) != http.StatusUnauthorized {
		if <-tick.C; time.Now().After(deadline) {
			t.Fatalf("deliveries of %s are still taken", source)
		}
	}
}

func TestSourceOfAnothersSecret(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNS, Name: credentials.SourceSecretPrefix + "taken"}}
	create(t, secret)
	s := newSource("taken")
	create(t, s)
	awaitSource(t, s, "False/SecretConflict", "Unknown/NoEventsYet")
	if got := kstatusOf(t, s); got != status.FailedStatus {
		t.Errorf("kstatus says %s", got)
	}
	if err := admin.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	awaitSource(t, s, "True/CredentialsIssued", "Unknown/NoEventsYet")
}

// The API server refuses the name; an object may be older than that rule. It
// gets no credentials and counts nothing.
func TestSourceOfTheOperatorsOwnRecords(t *testing.T) {
	s := newSource(audit.OwnSource)
	if err := admin.Create(t.Context(), s.DeepCopy()); err == nil || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("the API server says %v", err)
	}
	r := sources(time.Now)
	if err := r.issue(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	r.count(t.Context(), s)
	if got := condition(s, v1alpha1.ReadyCondition); got != "False/NameReserved" || s.Status.SecretRef != nil || s.Status.EventsReceived != 0 {
		t.Errorf("the source is %s, its status %+v", got, s.Status)
	}
	registry.Set(accepted(s, credentials.Source{TokenSHA256: [][32]byte{{}}}))
	if registry.Has(accepted(s, credentials.Source{TokenSHA256: [][32]byte{{}}})) {
		t.Error("the collector takes deliveries for the operator's own records")
	}
}

// Whoever replaces a source's Secret with one of their own ends what the old one proved.
func TestSourceWhoseSecretIsReplaced(t *testing.T) {
	s := newSource("replaced")
	create(t, s)
	awaitSource(t, s, "True/CredentialsIssued", "Unknown/NoEventsYet")
	secret := secretOf(t, s)
	token := string(secret.Data[credentials.TokenKey])
	if got := deliver(t, s.Name, token); got != http.StatusOK {
		t.Fatalf("delivery answered %d", got)
	}
	secret.Labels = nil
	if err := admin.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	awaitRefused(t, s.Name, token)
	awaitSource(t, s, "False/SecretConflict", "True/EventsArriving")
}

// sources is a reconciler beside the controllers, whose clock a test sets.
func sources(now func() time.Time) *sourceReconciler {
	return &sourceReconciler{
		client: operator, events: discardEvents{}, issuer: issuer, registry: registry,
		store: faults, now: now, reported: map[types.UID]int64{},
	}
}

func TestSourceIsNotWrittenForTheOperatorsOwnEvents(t *testing.T) {
	s := newSource("quiet")
	create(t, s)
	awaitSource(t, s, "True/CredentialsIssued", "Unknown/NoEventsYet")
	r := sources(time.Now)
	reconcile := func() string {
		t.Helper()
		if _, err := r.Reconcile(t.Context(), requestFor(s)); err != nil {
			t.Fatal(err)
		}
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			t.Fatal(err)
		}
		return s.ResourceVersion
	}
	take := func(clients ...string) {
		t.Helper()
		for _, c := range clients {
			e := newEvent(ownCluster, "", "cluster")
			e.Source, e.Client = s.Name, c
			if _, err := faults.Append(t.Context(), store.Batch{Source: s.Name, ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(audit.ClientCLI)
	awaitSource(t, s, "True/CredentialsIssued", "True/EventsArriving")
	before := reconcile()
	take(audit.ClientOperator, audit.ClientOperator)
	if after := reconcile(); after != before {
		t.Errorf("written for its own events: %+v", s.Status)
	}
	take(audit.ClientCLI)
	if after := reconcile(); after == before || s.Status.EventsReceived != 4 {
		t.Errorf("not written for others' events: %+v", s.Status)
	}
}

func TestSourceThatStopped(t *testing.T) {
	s := newSource("stopped")
	create(t, s)
	e := newEvent(ownCluster, "", "cluster")
	e.Source = s.Name
	if _, err := faults.Append(t.Context(), store.Batch{Source: s.Name, ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	awaitSource(t, s, "True/CredentialsIssued", "True/EventsArriving")
	later := func() time.Time { return time.Now().Add(silentAfter + time.Second) }
	if _, err := sources(later).Reconcile(t.Context(), requestFor(s)); err != nil {
		t.Fatal(err)
	}
	awaitSource(t, s, "True/CredentialsIssued", "False/EventsStopped")
}

// The collector hears which groups a source speaks for, and keeps no part of
// the cached object.
func TestAcceptedSource(t *testing.T) {
	s := newSource("aggregated")
	s.Spec.APIGroups = []string{"wardle.example.com"}
	got := accepted(s, credentials.Source{})
	if len(got.APIGroups) != 1 || got.APIGroups[0] != "wardle.example.com" || &got.APIGroups[0] == &s.Spec.APIGroups[0] {
		t.Errorf("the collector hears of the groups %v", got.APIGroups)
	}
	if got.Redaction != (redact.Policy{}) {
		t.Errorf("by default the collector hears of the redaction %+v", got.Redaction)
	}
	s.Spec.Redaction = &v1alpha1.AuditSourceRedaction{ConfigMapValues: v1alpha1.KeepValues}
	if got := accepted(s, credentials.Source{}).Redaction; got != (redact.Policy{KeepConfigMapValues: true}) {
		t.Errorf("of kept values it hears %+v", got)
	}
	s.Spec.Redaction = &v1alpha1.AuditSourceRedaction{ConfigMapValues: v1alpha1.DropValues, ExecArguments: v1alpha1.DropValues}
	if got := accepted(s, credentials.Source{}).Redaction; got != (redact.Policy{DropExecArguments: true}) {
		t.Errorf("of dropped arguments it hears %+v", got)
	}
}

// At a start the collector must know every source before it listens.
func TestRegisterSources(t *testing.T) {
	s := newSource("registered")
	s.Spec.Limits = &v1alpha1.AuditSourceLimits{MaxEventBytes: ptr.To(int64(2048))}
	create(t, s)
	awaitSource(t, s, "True/CredentialsIssued", "Unknown/NoEventsYet")
	fresh := webhook.NewRegistry()
	if err := RegisterSources(t.Context(), operator, issuer, fresh); err != nil {
		t.Logf("of other tests' sources: %v", err)
	}
	// By the default limit nothing of it is left out.
	tooLong := `{"items":[{"level":"Request","auditID":"a","stage":"ResponseComplete","requestURI":"/version","verb":"get",` +
		`"requestReceivedTimestamp":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","requestObject":{"text":"` + strings.Repeat("x", 2048) + `"}}]}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathPrefix+s.Name, strings.NewReader(tooLong))
	r.Header.Set("Authorization", "Bearer "+string(secretOf(t, s).Data[credentials.TokenKey]))
	w := httptest.NewRecorder()
	newIngest(fresh).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("delivery answered %d", w.Code)
	}
	now := time.Now()
	view, err := faults.View(t.Context(), query.ClusterWide(), store.ViewRequest{
		Filter: query.Filter{Terms: query.Terms{Sources: []string{s.Name}}},
		Window: query.Window{From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Limit: 2,
	})
	if err != nil || len(view.Events) != 1 || !view.Events[0].Truncated {
		t.Errorf("stored %+v, %v: want one event, cut by the source's own limit", view.Events, err)
	}
}
