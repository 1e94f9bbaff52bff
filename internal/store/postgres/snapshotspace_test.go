package postgres

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestDeletedSnapshotsCount checks that who deletes and asks again in a loop
// meets the quota: what was deleted takes space until nobody can read it.
func TestDeletedSnapshotsCount(t *testing.T) {
	s := openNew(t, 1)[0]
	s.opts.SnapshotQuota = store.SnapshotQuota{PerNamespace: 5 << 20}
	random := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	space := store.SnapshotSpace{Cluster: "prod", Namespace: "shop"}
	again := func() error {
		m := someManifest(1)
		m.Cluster, m.Namespace = space.Cluster, space.Namespace
		err := s.SaveSnapshot(t.Context(), m.ID, space, func(w io.Writer) (store.Manifest, error) {
			_, err := w.Write(random)
			return m, err
		})
		return errors.Join(err, s.DeleteSnapshot(t.Context(), m.ID))
	}
	for range 2 {
		if err := again(); err != nil {
			t.Fatal(err)
		}
	}
	if err := again(); !errors.Is(err, store.ErrQuota) {
		t.Errorf("the third one, beside two that were deleted: %v", err)
	}
	if _, err := s.pool.Exec(t.Context(), "UPDATE audit_loose_bodies SET since = since - interval '11 minutes'"); err != nil {
		t.Fatal(err)
	}
	if err := s.removeLooseBodies(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Errorf("after they were removed: %v", err)
	}
}

// TestSpaceOfSnapshotsOfBefore migrates a database with a snapshot of a version
// that did not count bytes.
func TestSpaceOfSnapshotsOfBefore(t *testing.T) {
	url := postgrestest.Shared(t).Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	save(t, s, someManifest(1), threeParts)
	var counted, again int64
	const bytes = "SELECT bytes FROM audit_snapshots"
	if err := s.pool.QueryRow(t.Context(), bytes).Scan(&counted); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DROP INDEX audit_snapshots_space", "DROP TABLE audit_snapshot_marks",
		"ALTER TABLE audit_snapshots DROP COLUMN bytes",
		"ALTER TABLE audit_loose_bodies DROP COLUMN cluster, DROP COLUMN namespace, DROP COLUMN bytes",
		"DELETE FROM audit_schema_version WHERE version_id = 8",
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil { // also where a later one was applied
		t.Fatal(err)
	}
	if err := s.pool.QueryRow(t.Context(), bytes).Scan(&again); err != nil {
		t.Fatal(err)
	}
	if counted < store.SnapshotOverhead+100 || again != counted {
		t.Errorf("it took %d bytes, and takes %d after the migration", counted, again)
	}
}
