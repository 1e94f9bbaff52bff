package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/store"
)

// lockSpace lets one replica at a time account for what a snapshot takes: two
// that did so at once would not see each other.
const lockSpace = "SELECT pg_advisory_xact_lock(hashtext('audit_snapshot_space'), 0)"

// usedSpace adds up what snapshots take, and bodies that no snapshot names.
const usedSpace = `SELECT coalesce(sum(bytes) FILTER (WHERE cluster = $1 AND namespace = $2), 0)::bigint,
		coalesce(sum(bytes) FILTER (WHERE namespace <> ''), 0)::bigint, coalesce(sum(bytes), 0)::bigint
	FROM (SELECT cluster, namespace, bytes FROM audit_snapshots UNION ALL SELECT cluster, namespace, bytes FROM audit_loose_bodies) AS kept`

// charge accounts for bytes of a loose body within a transaction, and fails
// where they pass the quota.
func (w *bodyWriter) charge(ctx context.Context, tx pgx.Tx, bytes int64) error {
	if _, err := tx.Exec(ctx, lockSpace); err != nil {
		return err
	}
	charged, err := tx.Exec(ctx, "UPDATE audit_loose_bodies SET bytes = bytes + $2 WHERE body = $1", w.number, bytes)
	if err != nil {
		return err
	}
	if charged.RowsAffected() == 0 {
		return errBodyRemoved
	}
	if quota := w.store.opts.SnapshotQuota; w.space.Unmetered || quota == (store.SnapshotQuota{}) {
		return nil
	}
	var usage store.SnapshotUsage
	if err := tx.QueryRow(ctx, usedSpace, store.Text(w.space.Cluster), store.Text(w.space.Namespace)).
		Scan(&usage.Namespace, &usage.Namespaced, &usage.Whole); err != nil {
		return err
	}
	return w.store.opts.SnapshotQuota.Check(w.space, usage)
}

// MarkSnapshot implements store.Snapshots.
func (s *Store) MarkSnapshot(ctx context.Context, mark store.SnapshotMark) error {
	err := s.call(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "INSERT INTO audit_snapshot_marks (kind, id, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			string(mark.Kind), store.Text(mark.ID), mark.At)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark a snapshot: %w", err)
	}
	return nil
}

// UnmarkSnapshots implements store.Snapshots.
func (s *Store) UnmarkSnapshots(ctx context.Context, kind store.MarkKind, ids ...string) error {
	known := make([]string, len(ids))
	for i, id := range ids {
		known[i] = store.Text(id)
	}
	err := s.call(ctx, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM audit_snapshot_marks WHERE kind = $1 AND id = ANY ($2)", string(kind), known)
		return err
	})
	if err != nil {
		return fmt.Errorf("unmark snapshots: %w", err)
	}
	return nil
}

// SnapshotMarks implements store.Snapshots.
func (s *Store) SnapshotMarks(ctx context.Context) (marks []store.SnapshotMark, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT kind, id, at FROM audit_snapshot_marks")
		if err != nil {
			return err
		}
		marks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (m store.SnapshotMark, err error) {
			err = row.Scan(&m.Kind, &m.ID, &m.At)
			m.At = m.At.UTC()
			return m, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the marks of snapshots: %w", err)
	}
	return marks, nil
}
