package postgres

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// Whoever asks while the server is away is told that it is the store, and not
// the question; afterwards the same store answers.
func TestAway(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	url := server.Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{URL: url})
	scope := query.ClusterWide()
	window := query.Window{From: time.Now().Add(-time.Hour), To: time.Now()}
	calls := map[string]func() error{
		"View": func() error {
			_, err := s.View(t.Context(), scope, store.ViewRequest{Window: window, Limit: 1})
			return err
		},
		"Facet": func() error {
			_, err := s.Facet(t.Context(), scope, store.FacetRequest{Window: window, Dimension: query.ByActor, Limit: 1})
			return err
		},
		"Capture": func() error {
			_, err := s.Capture(t.Context(), scope, store.CaptureRequest{Window: window, Limit: 1}, func(*audit.Event) error { return nil })
			return err
		},
		"Sources":     func() error { _, err := s.Sources(t.Context()); return err },
		"SnapshotsOf": func() error { _, err := s.SnapshotsOf(t.Context(), "uid"); return err },
		"SaveSnapshot": func() error {
			return s.SaveSnapshot(t.Context(), "00000000000000000000000000000001", store.SnapshotSpace{}, func(io.Writer) (store.Manifest, error) {
				return store.Manifest{ID: "00000000000000000000000000000001"}, nil
			})
		},
		"DeleteSnapshot": func() error { return s.DeleteSnapshot(t.Context(), "00000000000000000000000000000001") },
		"Append": func() error {
			_, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now()})
			return err
		},
	}
	server.Stop(t, "fast")
	for name, call := range calls {
		if err := call(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s of a server that is away: %v; want that the store is unavailable", name, err)
		}
	}
	server.Restart(t)
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s after the server came back: %v", name, err)
		}
	}
}
