package selfaudit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

var alice = auth.User{
	Name: "alice@example.com", UID: "u-1", Groups: []string{"auditors"},
	Extra: map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=7"}, "example.com/session-token": {"hush-extra"}},
}

func recorder(t *testing.T, opts selfaudit.Options) *selfaudit.Recorder {
	t.Helper()
	opts.Cluster = "own"
	r, err := selfaudit.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func request(t *testing.T, method, address string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, address, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("User-Agent", "curl/8.5")
	r.Header.Set("Authorization", "Bearer hush-header")
	r.Header.Set("Cookie", "audit-session=hush-cookie")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	return r
}

// recorded returns the events of the last hour with their raw ones, in order of
// stages.
func recorded(t *testing.T, s *embedded.Store, scope query.Scope) []audit.Event {
	t.Helper()
	now := time.Now()
	view, err := s.View(t.Context(), scope, store.ViewRequest{Window: query.Window{From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []audit.Event
	for _, e := range view.Events {
		full, err := s.Event(t.Context(), scope, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, full)
	}
	// The stages of an act occurred at one time.
	slices.SortFunc(out, func(a, b audit.Event) int { return a.StageAt.Compare(b.StageAt) })
	return out
}

func TestExportIsRecorded(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	clock := time.Now().UTC().Truncate(time.Microsecond)
	r := recorder(t, selfaudit.Options{Writer: s, Now: func() time.Time { clock = clock.Add(time.Millisecond); return clock }})
	act := selfaudit.Act{
		Action: selfaudit.Export, User: alice, Namespaces: []string{"shop"},
		Request: request(t, "GET", "/api/v1/export?format=csv&dryRun=All&search=password%3Dhush-search&token=hush-query"),
		Detail:  map[string]string{"filter": "search=password%3Dhush-search", "format": "csv"},
	}
	end, err := r.Begin(t.Context(), act)
	if err != nil {
		t.Fatal(err)
	}
	inShop := query.InNamespaces("own", "shop")
	if got := recorded(t, s, inShop); len(got) != 1 || got[0].Stage != audit.StageResponseStarted {
		t.Fatalf("when it begins, these are stored: %+v", got)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	end(gone, 200, map[string]string{"rows": "17", "outcome": "cancelled"})

	got := recorded(t, s, inShop)
	if len(got) != 2 {
		t.Fatalf("%d events, want 2", len(got))
	}
	want := audit.Event{
		Source: "audit-operator", Cluster: "own", Level: "Metadata", Stage: audit.StageResponseStarted, Actor: "alice@example.com",
		ActorKind: audit.ActorUser, CredentialID: "JTI=7", Groups: []string{"auditors"}, Method: "POST", Verb: "get", ResourceType: "project", Action: "project.audit_export",
		APIGroup: "audit.porter.run", Resource: "auditlogs", Subresource: "audit_export", Namespace: "shop", StatusCode: 200, Client: audit.ClientOperator,
		UserAgent: "curl/8.5", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7")},
		Path: "/api/v1/export?format=csv&dryRun=All&search=password%3D%5Bredacted%5D&token=[redacted]",
	}
	for i, stage := range []string{audit.StageResponseStarted, audit.StageResponseComplete} {
		want.Stage = stage
		differs := cmpopts.IgnoreFields(audit.Event{}, "ID", "AuditID", "OccurredAt", "StageAt", "IngestedAt", "Raw", "RawSHA256")
		if diff := cmp.Diff(want, got[i], differs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: %s", stage, diff)
		}
		if strings.Contains(string(got[i].Raw), "hush") {
			t.Errorf("a secret is in %s", got[i].Raw)
		}
		var raw auditv1.Event
		if err := json.Unmarshal(got[i].Raw, &raw, json.MatchCaseInsensitiveNames(false)); err != nil {
			t.Errorf("%s is no event of audit.k8s.io/v1: %v", got[i].Raw, err)
		}
		if raw.Annotations["audit.porter.run/format"] != "csv" || raw.User.Groups[0] != "auditors" || string(raw.AuditID) != got[i].AuditID {
			t.Errorf("the raw event is %s", got[i].Raw)
		}
		if rows := raw.Annotations["audit.porter.run/rows"]; (rows == "17") != (stage == audit.StageResponseComplete) {
			t.Errorf("%s says rows %q", stage, rows)
		}
	}
	if a, b := got[0], got[1]; a.AuditID != b.AuditID || a.AuditID == "" || !a.OccurredAt.Equal(b.OccurredAt) || !a.StageAt.Before(b.StageAt) {
		t.Errorf("the stages don't belong together: %+v, %+v", a, b)
	}
}

// Only the rights decide whose a record is, never an address that somebody wrote.
func TestNamespaceOfRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		namespaces []string
		want       string
	}{
		"whole cluster":  {nil, ""},
		"one namespace":  {[]string{"shop"}, "shop"},
		"two namespaces": {[]string{"billing", "shop"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := embeddedtest.Open(t, embedded.Options{})
			act := selfaudit.Act{
				Action: selfaudit.Download, User: alice, Namespaces: tc.namespaces, Name: "0123",
				Request: request(t, "GET", "/api/v1/namespaces/kube-system/pods"),
			}
			if _, err := recorder(t, selfaudit.Options{Writer: s}).Begin(t.Context(), act); err != nil {
				t.Fatal(err)
			}
			got := recorded(t, s, query.ClusterWide())
			if len(got) != 1 || got[0].Namespace != tc.want || got[0].ResourceName != "0123" || got[0].Action != "project.audit_snapshot_download" {
				t.Errorf("recorded %+v", got)
			}
		})
	}
}

func TestLoginIsRecorded(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	registry := prometheus.NewPedanticRegistry()
	r := recorder(t, selfaudit.Options{Writer: s, Metrics: selfaudit.NewMetrics(registry), ClientAddress: func(r *http.Request) string { return r.Header.Get("X-Forwarded-For") }})
	r.SignedIn(request(t, "GET", "/login/oidc/callback?code=hush-code&state=hush-state"), alice, "oidc")
	got := recorded(t, s, query.ClusterWide())
	if len(got) != 1 {
		t.Fatalf("recorded %+v", got)
	}
	e := got[0]
	if e.Action != "project.audit_login" || e.Stage != audit.StageResponseComplete || e.Path != "/login/oidc/callback" || e.IPs[0].String() != "203.0.113.9" || e.Namespace != "" {
		t.Errorf("recorded %+v", e)
	}
	if raw := string(e.Raw); strings.Contains(raw, "hush") || !strings.Contains(raw, `"audit.porter.run/means":"oidc"`) {
		t.Errorf("the raw event is %s", raw)
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r.SignedIn(request(t, "POST", "/login"), alice, "token")
	if _, err := r.Begin(t.Context(), selfaudit.Act{Action: selfaudit.Export, User: alice, Request: request(t, "GET", "/")}); !errors.Is(err, selfaudit.ErrNotRecorded) || !errors.Is(err, store.ErrClosed) {
		t.Errorf("an export that can't be recorded: %v", err)
	}
	const want = `
# HELP audit_own_records_total The operator's own records of exports, downloads, deletions of snapshots, log-ins and looks, by action and outcome: stored, failed.
# TYPE audit_own_records_total counter
audit_own_records_total{action="project.audit_export",outcome="failed"} 1
audit_own_records_total{action="project.audit_export",outcome="stored"} 0
audit_own_records_total{action="project.audit_login",outcome="failed"} 1
audit_own_records_total{action="project.audit_login",outcome="stored"} 1
audit_own_records_total{action="project.audit_snapshot_delete",outcome="failed"} 0
audit_own_records_total{action="project.audit_snapshot_delete",outcome="stored"} 0
audit_own_records_total{action="project.audit_snapshot_download",outcome="failed"} 0
audit_own_records_total{action="project.audit_snapshot_download",outcome="stored"} 0
audit_own_records_total{action="project.audit_view",outcome="failed"} 0
audit_own_records_total{action="project.audit_view",outcome="stored"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// A clock that is far ahead makes a record that no store keeps as an event;
// then the act must not happen either.
func TestRecordThatIsQuarantined(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	r := recorder(t, selfaudit.Options{Writer: s, Now: func() time.Time { return time.Now().Add(48 * time.Hour) }})
	if _, err := r.Begin(t.Context(), selfaudit.Act{Action: selfaudit.Export, User: alice, Request: request(t, "GET", "/")}); !errors.Is(err, selfaudit.ErrNotRecorded) {
		t.Errorf("Begin says %v", err)
	}
}

// Whatever a client writes, its act is recorded as its own.
func FuzzRecord(f *testing.F) {
	f.Add("alice", "/api/v1/export?search=x", "curl", "filter")
	f.Add("\xff\x00\"", "/%ff?a=%zz;&token=x", "\u202e\xfe", "search=%00")
	f.Add("\xff\xb0", "/", "", "")
	var taken audit.Event
	writer := writerFunc(func(b store.Batch) { taken = b.Events[0] })
	r, err := selfaudit.New(selfaudit.Options{Writer: writer, Cluster: "own"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, uri, agent, filter string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
		if err != nil {
			return // no server would call a handler with it
		}
		request.RemoteAddr = "[2001:db8::1]:1"
		request.Header.Set("User-Agent", agent)
		act := selfaudit.Act{Action: selfaudit.Export, User: auth.User{Name: user}, Request: request, Detail: map[string]string{"filter": filter}}
		if _, err := r.Begin(t.Context(), act); err != nil {
			t.Fatal(err)
		}
		// Each byte that is no UTF-8 is replaced by itself.
		if store.Text(taken.Actor) != store.Text(string([]rune(user))) || taken.Action != string(selfaudit.Export) || taken.Source != audit.OwnSource || taken.Namespace != "" || taken.Client != audit.ClientOperator {
			t.Errorf("recorded %+v", taken)
		}
	})
}

type writerFunc func(store.Batch)

func (w writerFunc) Append(_ context.Context, b store.Batch) (store.Appended, error) {
	w(b)
	return store.Appended{Stored: 1}, nil
}
