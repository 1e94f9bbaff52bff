package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// openNew opens a store of a new database, n times, as n replicas do.
func openNew(t *testing.T, n int) []*Store {
	t.Helper()
	url := postgrestest.Shared(t).Database(t)
	if err := Migrate(t.Context(), url, testr.New(t)); err != nil {
		t.Fatal(err)
	}
	replicas := make([]*Store, n)
	for i := range replicas {
		s, err := Open(t.Context(), Options{URL: url, Log: testr.New(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		replicas[i] = s
	}
	return replicas
}

func someManifest(n int) store.Manifest {
	return store.Manifest{ID: fmt.Sprintf("%032x", n), Owner: store.Owner{UID: "uid"}, TakenAt: time.Unix(1, 0).UTC()}
}

func save(t *testing.T, s *Store, m store.Manifest, body string) {
	t.Helper()
	if err := s.SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, body)
		return m, err
	}); err != nil {
		t.Fatal(err)
	}
}

// threeParts is a body of three parts.
var threeParts = strings.Repeat("0123456789abcdef", (2*partSize+100)/16)

// count returns the number of rows of a table.
func count(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSnapshotRead reads a snapshot that is deleted meanwhile, and taken anew,
// and which no connection is held for.
func TestSnapshotRead(t *testing.T) {
	s := openNew(t, 1)[0]
	m := someManifest(1)
	save(t, s, m, threeParts)
	opened, err := s.OpenSnapshot(t.Context(), query.ClusterWide(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	begun := make([]byte, 100)
	if _, err := io.ReadFull(opened, begun); err != nil {
		t.Fatal(err)
	}
	if n := s.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are held while nothing is read", n)
	}
	if err := s.DeleteSnapshot(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	save(t, s, m, "another")
	if err := s.removeLooseBodies(t.Context()); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(opened)
	if err := errors.Join(err, opened.Close()); err != nil || string(begun)+string(rest) != threeParts {
		t.Errorf("read %d bytes of %d, %v", len(begun)+len(rest), len(threeParts), err)
	}
}

// TestSnapshotsLeaveNothing looks for what deleted, failed and lost saves leave.
func TestSnapshotsLeaveNothing(t *testing.T) {
	s := openNew(t, 1)[0]
	kept := someManifest(1)
	save(t, s, kept, threeParts)
	for name, write := range map[string]func(w io.Writer) (store.Manifest, error){
		"a failure": func(io.Writer) (store.Manifest, error) { return store.Manifest{}, io.ErrUnexpectedEOF },
		"a lost race": func(io.Writer) (store.Manifest, error) {
			save(t, s, someManifest(2), "faster")
			return someManifest(2), nil
		},
	} {
		if err := s.SaveSnapshot(t.Context(), someManifest(2).ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
			if _, err := io.WriteString(w, threeParts); err != nil {
				return store.Manifest{}, err
			}
			return write(w)
		}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if loose := count(t, s, "audit_loose_bodies"); loose != 0 {
			t.Errorf("%s leaves %d bodies", name, loose)
		}
	}
	if parts := count(t, s, "audit_snapshot_parts"); parts != 4 {
		t.Errorf("%d parts are stored, want those of the two snapshots: 4", parts)
	}

	late, err := s.OpenSnapshot(t.Context(), query.ClusterWide(), kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteSnapshot(t.Context(), kept.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), "UPDATE audit_loose_bodies SET since = since - interval '61 minutes'"); err != nil {
		t.Fatal(err)
	}
	if err := s.removeLooseBodies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if parts := count(t, s, "audit_snapshot_parts"); parts != 1 {
		t.Errorf("%d parts are left, want that of the other snapshot: 1", parts)
	}
	if content, err := io.ReadAll(late); err == nil || len(content) > 0 {
		t.Errorf("what is removed reads as %d bytes, %v", len(content), err)
	}
}

// TestSnapshotOfLostBody ends a save that took so long that its body went.
func TestSnapshotOfLostBody(t *testing.T) {
	s := openNew(t, 1)[0]
	m := someManifest(1)
	err := s.SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := s.pool.Exec(t.Context(), "DELETE FROM audit_loose_bodies")
		return m, err
	})
	if err == nil {
		t.Error("a snapshot without its body was saved")
	}
	if _, err := s.Snapshot(t.Context(), query.ClusterWide(), m.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Snapshot = %v", err)
	}
}

// TestSnapshotsOfReplicas has many replicas save one snapshot.
func TestSnapshotsOfReplicas(t *testing.T) {
	replicas := openNew(t, 4)
	results := make(chan error, 3*len(replicas))
	for i := range cap(results) {
		go func() {
			m := someManifest(1)
			m.Filter = fmt.Sprint(i)
			results <- replicas[i%len(replicas)].SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
				_, err := fmt.Fprint(w, m.Filter)
				return m, err
			})
		}()
	}
	saved := 0
	for range cap(results) {
		if err := <-results; err == nil {
			saved++
		} else if !errors.Is(err, store.ErrExists) {
			t.Errorf("SaveSnapshot = %v", err)
		}
	}
	m, err := replicas[0].Snapshot(t.Context(), query.ClusterWide(), someManifest(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := replicas[1].OpenSnapshot(t.Context(), query.ClusterWide(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(opened); err != nil || string(body) != m.Filter || saved != 1 {
		t.Errorf("%d were saved; the manifest is of %q, the body of %q (%v)", saved, m.Filter, body, err)
	}
}

// TestSnapshotsBeside saves more snapshots at once than there are connections,
// each of what it reads from the store.
func TestSnapshotsBeside(t *testing.T) {
	s := openNew(t, 1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	n := int(s.pool.Config().MaxConns) + 2
	writing := make(chan struct{}, n)
	all := make(chan struct{})
	results := make(chan error, n)
	for i := range n {
		m := someManifest(i)
		go func() {
			results <- s.SaveSnapshot(ctx, m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
				writing <- struct{}{}
				<-all
				_, err := s.Sources(ctx)
				return m, err
			})
		}()
	}
	for range n {
		select {
		case <-writing:
		case <-ctx.Done():
			t.Error("some wait for a connection")
		}
	}
	close(all)
	for range n {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestSnapshotsInSmallPool takes more snapshots at once than there are
// connections: what one writes while it reads waits for none of the others.
func TestSnapshotsInSmallPool(t *testing.T) {
	url := newDatabase(t)
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	s := mustOpen(t, Options{
		URL: url + separator + "pool_max_conns=2", Now: func() time.Time { return testNow }, Log: testr.New(t), StatementTimeout: 5 * time.Second,
	})
	mustAppend(t, s, store.Appended{Stored: 1}, plain(1, testNow))
	window := query.Window{From: testNow.Add(-time.Hour), To: testNow.Add(time.Hour)}
	var group errgroup.Group
	for i := range 4 {
		group.Go(func() error {
			id := fmt.Sprintf("%032d", i)
			return s.SaveSnapshot(t.Context(), id, store.SnapshotSpace{}, func(body io.Writer) (store.Manifest, error) {
				_, err := s.Capture(t.Context(), query.ClusterWide(), store.CaptureRequest{Window: window, Limit: 1}, func(*audit.Event) error {
					_, err := body.Write(make([]byte, partSize))
					return err
				})
				return store.Manifest{ID: id}, err
			})
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}
