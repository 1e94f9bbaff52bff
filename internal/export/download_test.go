package export_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// reading lets a test have a say in how a snapshot's bytes are read.
type reading struct {
	export.Store
	read func(p []byte) (int, error)
}

func (r reading) OpenSnapshot(ctx context.Context, scope query.Scope, id string) (io.ReadCloser, error) {
	body, err := r.Store.OpenSnapshot(ctx, scope, id)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{readerFunc(r.read), body}, nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// downloads has the world's server send a snapshot at every address, instead of
// an export where the path ends with /records.
func (w *world) downloads(t *testing.T, read func(p []byte) (int, error), opts export.Options) {
	t.Helper()
	now := time.Now()
	m, err := snapshot.Take(t.Context(), w.store, snapshot.Request{
		ID: snapshot.LegacyID("x", 1, ""), Owner: store.Owner{Kind: "ClusterAuditLogQuery", Name: "q", UID: "x"}, Scope: query.ClusterWide(), Limit: 10, Now: now, Retention: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := selfaudit.New(selfaudit.Options{Writer: w.records, Cluster: "own"})
	if err != nil {
		t.Fatal(err)
	}
	opts.Store, opts.Records = reading{w.store, read}, recorder
	if opts.Still == nil {
		opts.Still = allowed
	}
	exporter, err := export.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		user := auth.User{Name: r.Header.Get("Test-User")}
		var err error
		if strings.HasSuffix(r.URL.Path, "/export") {
			err = exporter.Serve(rw, r, user, w.scope, w.request)
		} else {
			err = exporter.Snapshot(rw, r, user, w.scope, m.ID)
		}
		if err != nil {
			w.errs <- err
			http.Error(rw, "refused", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	w.URL = server.URL
}

func (w *world) getAt(t *testing.T, path string) (status int, body string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Test-User", "alice")
	resp, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

// Downloads take the places of exports, and give them back.
func TestDownloadsTakePlaces(t *testing.T) {
	w := newWorld(t, 10, export.Options{})
	hold, reached, ended := make(chan struct{}), make(chan struct{}, 16), make(chan struct{})
	w.downloads(t, func([]byte) (int, error) {
		reached <- struct{}{}
		<-hold
		return 0, io.EOF
	}, export.Options{})
	for range 2 {
		go func() {
			defer func() { ended <- struct{}{} }()
			if status, _, err := w.getAt(t, "/records"); err != nil || status != http.StatusOK {
				t.Errorf("status %d, %v", status, err)
			}
		}()
		<-reached
	}
	for _, path := range []string{"/records", "/export"} {
		if status, _, _ := w.getAt(t, path); status != http.StatusServiceUnavailable || !errors.Is(w.refusal(), export.ErrYourOthers) {
			t.Errorf("%s beside two downloads: status %d", path, status)
		}
	}
	close(hold)
	<-ended
	<-ended
	for range 5 {
		if status, _, err := w.getAt(t, "/export"); err != nil || status != http.StatusOK {
			t.Fatalf("afterwards: status %d, %v", status, err)
		}
	}
}

// A client that takes a little now and then holds its place for so long and no
// longer.
func TestDownloadsEnd(t *testing.T) {
	w := newWorld(t, 10, export.Options{})
	w.downloads(t, func(p []byte) (int, error) { return copy(p, "more\n"), nil }, export.Options{MaxDuration: 2 * time.Second})
	status, body, err := w.getAt(t, "/records")
	if status != http.StatusOK || err == nil {
		t.Errorf("status %d, %d bytes, and the answer looks whole", status, len(body))
	}
	if got := w.awaitOutcome(t); got.annotations["audit.porter.run/outcome"] != "failed" {
		t.Errorf("recorded %v", got.annotations)
	}
}
