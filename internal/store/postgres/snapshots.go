package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// validSnapshotID reports whether an ID is 32 lower-case hexadecimal digits.
func validSnapshotID(id string) bool {
	if len(id) != 32 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// SaveSnapshot implements store.Snapshots. The body becomes durable part by
// part, as one that no snapshot names; a last transaction names it. So there is
// a snapshot with all of its body or none, and while write runs, which may read
// from the store, no connection waits for it.
func (s *Store) SaveSnapshot(ctx context.Context, id string, space store.SnapshotSpace, write func(io.Writer) (store.Manifest, error)) error {
	if !validSnapshotID(id) {
		return fmt.Errorf("save snapshot: ID %q is not 32 lower-case hexadecimal digits", id)
	}
	if err := s.saveSnapshot(ctx, id, space, write); err != nil {
		return fmt.Errorf("save snapshot %s: %w", id, err)
	}
	return nil
}

func (s *Store) saveSnapshot(ctx context.Context, id string, space store.SnapshotSpace, write func(io.Writer) (store.Manifest, error)) error {
	if _, err := s.findSnapshot(ctx, id); !errors.Is(err, store.ErrNotFound) {
		return cmp.Or(err, store.ErrExists)
	}
	body, err := s.newBody(ctx, space)
	if err != nil {
		return err
	}
	manifest, err := write(body)
	if err == nil {
		err = body.flush()
	}
	if err == nil && manifest.ID != id {
		err = fmt.Errorf("its manifest is of %q", manifest.ID)
	}
	if err == nil {
		err = space.Check(&manifest)
	}
	if err == nil {
		err = s.nameBody(ctx, body, manifest)
	}
	if err != nil {
		body.discard()
	}
	return err
}

// nameBody makes a body a snapshot's, unless there is a snapshot of that ID.
func (s *Store) nameBody(ctx context.Context, body *bodyWriter, m store.Manifest) error {
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.call(ctx, func(ctx context.Context) error {
		return s.durably(ctx, func(tx pgx.Tx) error {
			if err := body.charge(ctx, tx, store.SnapshotOverhead+int64(len(manifest))); err != nil {
				return err
			}
			var bytes int64
			if err := tx.QueryRow(ctx, "DELETE FROM audit_loose_bodies WHERE body = $1 RETURNING bytes", body.number).Scan(&bytes); err != nil {
				return err
			}
			saved, err := tx.Exec(ctx, `INSERT INTO audit_snapshots (id, body, parts, owner_uid, taken_at, namespace, cluster, manifest, bytes)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
				m.ID, body.number, body.parts, store.Text(m.Owner.UID), m.TakenAt, store.Text(m.Namespace), store.Text(m.Cluster), manifest, bytes)
			if err == nil && saved.RowsAffected() == 0 {
				err = store.ErrExists
			}
			return err
		})
	})
}

// savedSnapshot is a row of audit_snapshots.
type savedSnapshot struct {
	Manifest store.Manifest
	Body     int64
	Parts    int
}

const selectSnapshots = "SELECT manifest, body, parts FROM audit_snapshots "

// snapshots returns those that a statement selects.
func (s *Store) snapshots(ctx context.Context, statement string, args ...any) (found []savedSnapshot, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, statement, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[savedSnapshot])
		return err
	})
	return found, err
}

func (s *Store) findSnapshot(ctx context.Context, id string) (savedSnapshot, error) {
	if !validSnapshotID(id) {
		return savedSnapshot{}, store.ErrNotFound
	}
	found, err := s.snapshots(ctx, selectSnapshots+"WHERE id = $1", id)
	switch {
	case err != nil:
		return savedSnapshot{}, err
	case len(found) == 0:
		return savedSnapshot{}, store.ErrNotFound
	}
	return found[0], nil
}

// findCovered returns a snapshot that the scope covers.
func (s *Store) findCovered(ctx context.Context, scope query.Scope, id string) (savedSnapshot, error) {
	found, err := s.findSnapshot(ctx, id)
	if err == nil && !scope.Covers(found.Manifest.Cluster, found.Manifest.Namespace, found.Manifest.TakenAt) {
		err = store.ErrNotFound
	}
	if err != nil {
		return savedSnapshot{}, err
	}
	return found, nil
}

// Snapshot implements store.Snapshots.
func (s *Store) Snapshot(ctx context.Context, scope query.Scope, id string) (store.Manifest, error) {
	found, err := s.findCovered(ctx, scope, id)
	if err != nil {
		return store.Manifest{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return found.Manifest, nil
}

// OpenSnapshot implements store.Snapshots. What was opened is read part by part
// until ctx ends, and stays readable for ten minutes when the snapshot is deleted.
func (s *Store) OpenSnapshot(ctx context.Context, scope query.Scope, id string) (io.ReadCloser, error) {
	found, err := s.findCovered(ctx, scope, id)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return &bodyReader{ctx: ctx, store: s, number: found.Body, parts: found.Parts}, nil
}

func manifestsOf(found []savedSnapshot) []store.Manifest {
	manifests := make([]store.Manifest, len(found))
	for i := range found {
		manifests[i] = found[i].Manifest
	}
	return manifests
}

// The newest of all, and those of some namespaces: of each by itself, so that
// what is in others is not looked at. Half a page of the order comes from the
// index; the manifests are read last.
const (
	listSnapshots = `SELECT id, taken_at FROM audit_snapshots
		WHERE $1::timestamptz IS NULL OR (taken_at, id) < ($1, $2) ORDER BY taken_at DESC, id DESC LIMIT $3`
	listSnapshotsIn = `SELECT s.id, s.taken_at FROM unnest($5::text[], $6::timestamptz[]) AS n (namespace, since) CROSS JOIN LATERAL (
			SELECT id, taken_at FROM audit_snapshots WHERE cluster = $4 AND namespace = n.namespace AND taken_at >= n.since
				AND ($1::timestamptz IS NULL OR (taken_at, id) < ($1, $2)) ORDER BY taken_at DESC, id DESC LIMIT $3) AS s
		ORDER BY s.taken_at DESC, s.id DESC LIMIT $3`
)

// ListSnapshots implements store.Snapshots.
func (s *Store) ListSnapshots(ctx context.Context, scope query.Scope, req store.ListSnapshotsRequest) ([]store.Manifest, error) {
	listed, args := listSnapshots, []any{nil, "", max(0, min(req.Limit, store.MaxPage))}
	if req.Before != nil {
		args[0], args[1] = req.Before.TakenAt, store.Text(req.Before.ID)
	}
	if !scope.IsClusterWide() {
		cluster, namespaces := store.Visible(scope)
		since := make([]time.Time, len(namespaces))
		for i, n := range namespaces {
			since[i] = n.Since
		}
		listed, args = listSnapshotsIn, append(args, cluster, store.NamesOf(namespaces), since)
	}
	found, err := s.snapshots(ctx, "SELECT manifest, body, parts FROM ("+listed+") AS listed JOIN audit_snapshots USING (id, taken_at) ORDER BY taken_at DESC, id DESC", args...)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return manifestsOf(found), nil
}

// SnapshotsOf implements store.Snapshots.
func (s *Store) SnapshotsOf(ctx context.Context, uid string) ([]store.Manifest, error) {
	found, err := s.snapshots(ctx, selectSnapshots+"WHERE owner_uid = $1", store.Text(uid))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	of := manifestsOf(found)
	slices.SortFunc(of, func(a, b store.Manifest) int { return a.Position().Compare(b.Position()) })
	return of, nil
}

// DeleteSnapshot implements store.Snapshots. Its body goes later, because
// somebody may be reading it.
func (s *Store) DeleteSnapshot(ctx context.Context, id string) error {
	if !validSnapshotID(id) {
		return nil // there is none
	}
	err := s.call(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `WITH deleted AS (DELETE FROM audit_snapshots WHERE id = $1 RETURNING body, cluster, namespace, bytes)
			INSERT INTO audit_loose_bodies (body, since, cluster, namespace, bytes) OVERRIDING SYSTEM VALUE
			SELECT body, now(), cluster, namespace, bytes FROM deleted`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete snapshot %s: %w", id, err)
	}
	return nil
}
