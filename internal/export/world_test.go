package export_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// events returns n events that begin at a time, a millisecond apart.
func events(n int, at time.Time) []audit.Event {
	out := make([]audit.Event, n)
	for i := range out {
		at := at.UTC().Truncate(time.Microsecond).Add(time.Duration(i) * time.Millisecond)
		e := audit.Event{
			Source: "s", Cluster: "own", Stage: audit.StageResponseComplete, Level: "Metadata", OccurredAt: at, StageAt: at, AuditID: fmt.Sprint(i),
			Actor: "alice", ActorKind: audit.ActorUser, Groups: []string{"dev", "a, \"b\"\x1b"}, Method: "POST", Verb: "create", ResourceType: "application", Action: "application.create",
			Namespace: "shop", APIGroup: "apps", Resource: "deployments", ResourceName: fmt.Sprint("app-", i), StatusCode: 201, Client: audit.ClientCLI,
			Path:      fmt.Sprintf("/apis/apps/v1/namespaces/shop/deployments/app-%d?fieldManager=kubectl-client-side-apply&fieldValidation=Strict", i),
			UserAgent: "kubectl/v1.37.0 (linux/amd64) kubernetes/0123456",
			IPs:       []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.7")}, Raw: fmt.Appendf(nil, `{"auditID":"%d"}`, i),
		}
		e.RawSHA256 = sha256.Sum256(e.Raw)
		e.ID = audit.ID(e.RawSHA256[:16])
		binary.BigEndian.PutUint64(e.ID[8:], uint64(at.UnixMicro()))
		out[i] = e
	}
	return out
}

func appendTo(t testing.TB, s store.Writer, events []audit.Event) {
	t.Helper()
	for len(events) > 0 {
		part := events[:min(len(events), 8192)]
		events = events[len(part):]
		got, err := s.Append(context.Background(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: part})
		if err != nil || got.Stored != len(part) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

// world is a server of exports over a real store.
type world struct {
	store   *embedded.Store // what is exported
	records *embedded.Store
	events  []audit.Event // in ascending order
	window  query.Window
	faults  *faults
	// request is what the server exports.
	request export.Request
	scope   query.Scope
	errs    chan error // of Serve
	*httptest.Server
}

// faults stands between an export and the store.
type faults struct {
	export.Store
	// page is called for each page, from 1 on, before it is read.
	page func(ctx context.Context, n int) error
	// answered may change a page.
	answered func(n int, v *store.View)
	pages    atomic.Int64
}

func (f *faults) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	n := int(f.pages.Add(1))
	if f.page != nil {
		if err := f.page(ctx, n); err != nil {
			return store.View{}, err
		}
	}
	v, err := f.Store.View(ctx, scope, req)
	if err == nil && f.answered != nil {
		f.answered(n, &v)
	}
	return v, err
}

// allowed is the answer about a caller whose rights never end.
func allowed(context.Context, *http.Request, auth.User, query.Scope) error { return nil }

func newWorld(t testing.TB, n int, opts export.Options) *world {
	t.Helper()
	from := time.Now().Add(-time.Hour)
	w := &world{events: events(n, from), scope: query.ClusterWide(), errs: make(chan error, 16)}
	w.store, w.records = embeddedtest.Open(t, embedded.Options{Dir: t.TempDir()}), embeddedtest.Open(t, embedded.Options{Dir: t.TempDir()})
	appendTo(t, w.store, w.events)
	w.window = query.Window{From: from.UTC().Truncate(time.Second), To: time.Now().UTC().Truncate(time.Second)}
	w.faults = &faults{Store: w.store}
	w.request = export.Request{Window: w.window, Format: export.CSV}
	recorder, err := selfaudit.New(selfaudit.Options{Writer: w.records, Cluster: "own"})
	if err != nil {
		t.Fatal(err)
	}
	opts.Store, opts.Records = w.faults, recorder
	if opts.Still == nil {
		opts.Still = allowed
	}
	exporter, err := export.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := exporter.Serve(rw, r, auth.User{Name: r.Header.Get("Test-User")}, w.scope, w.request); err != nil {
			w.errs <- err
			http.Error(rw, "refused", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

// get returns what was sent, and how it ended.
func (w *world) get(t testing.TB) (*http.Response, string, error) {
	t.Helper()
	resp := w.open(t, t.Context(), http.MethodGet)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// refusal returns why the last request was refused; nil where it was not.
func (w *world) refusal() error {
	select {
	case err := <-w.errs:
		return err
	default:
		return nil
	}
}

func (w *world) open(t testing.TB, ctx context.Context, method string) *http.Response {
	t.Helper()
	return w.openAs(t, ctx, method, "alice")
}

func (w *world) openAs(t testing.TB, ctx context.Context, method, user string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, w.URL+"/api/v1/export?format=csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Test-User", user)
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// record is one of the operator's own, with its annotations.
type record struct {
	audit.Event
	annotations map[string]string
}

// recorded returns the records, in order of stages.
func (w *world) recorded(t testing.TB) []record {
	t.Helper()
	now := time.Now()
	view, err := w.records.View(context.Background(), query.ClusterWide(), store.ViewRequest{Window: query.Window{From: now.Add(-time.Hour), To: now.Add(time.Hour)}, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	for _, e := range view.Events {
		full, err := w.records.Event(context.Background(), query.ClusterWide(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		var raw struct{ Annotations map[string]string }
		if err := json.Unmarshal(full.Raw, &raw, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		out = append(out, record{full, raw.Annotations})
	}
	slices.SortFunc(out, func(a, b record) int { return a.StageAt.Compare(b.StageAt) })
	return out
}

// awaitOutcome waits until an export's end is recorded, and returns it.
func (w *world) awaitOutcome(t testing.TB) record {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		for _, r := range w.recorded(t) {
			if r.Stage == audit.StageResponseComplete {
				return r
			}
		}
	}
	t.Fatal("the end of the export is not recorded")
	return record{}
}

var errFault = errors.New("the store broke")

func (f *faults) reset() {
	f.page, f.answered = nil, nil
	f.pages.Store(0)
}

// failOn makes a page fail.
func failOn(page int) func(context.Context, int) error {
	return func(_ context.Context, n int) error {
		if n == page {
			return errFault
		}
		return nil
	}
}
