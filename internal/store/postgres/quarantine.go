package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// quarantineColumns are what scanQuarantined reads.
const quarantineColumns = "source, received_at, reason, size, sha256, redacted, cluster"

// Quarantine implements store.Reader.
func (s *Store) Quarantine(ctx context.Context, req store.QuarantineRequest) (page store.QuarantinePage, err error) {
	limit := max(min(req.Limit, store.MaxQuarantinePage), 0)
	args := pgx.NamedArgs{"limit": limit + 1}
	conditions := "TRUE"
	if req.Source != "" {
		conditions += " AND source = @source"
		args["source"] = store.Text(req.Source)
	}
	if req.Before != nil {
		conditions += " AND (received_at, seq) < (@received, @seq)"
		args["received"], args["seq"] = req.Before.ReceivedAt, req.Before.Seq
	}
	// What is cut is cut here, so that nobody holds the rest.
	columns := fmt.Sprintf("seq, source, cluster, received_at, left(reason, %d), size, sha256, substring(redacted FROM 1 FOR %d), coalesce(octet_length(redacted), 0)",
		store.MaxQuarantineReason, store.MaxQuarantineContent)
	err = s.read(ctx, "store.quarantine", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, "SELECT "+columns+" FROM audit_quarantine WHERE "+conditions+" ORDER BY received_at DESC, seq DESC LIMIT @limit", args)
		if err != nil {
			return err
		}
		var items []store.QuarantineItem
		var places []store.QuarantinePosition
		var q store.QuarantineItem
		var seq int64
		var sum []byte
		if _, err := pgx.ForEachRow(rows, []any{&seq, &q.Source, &q.Cluster, &q.ReceivedAt, &q.Reason, &q.Size, &sum, &q.Redacted, &q.ContentBytes}, func() error {
			q.ReceivedAt = q.ReceivedAt.UTC()
			copy(q.Hash[:], sum)
			items, places = append(items, q), append(places, store.QuarantinePosition{ReceivedAt: q.ReceivedAt, Seq: seq})
			return nil
		}); err != nil {
			return err
		}
		page = store.PageOfQuarantine(tx.asOf, items, places, limit)
		return nil
	})
	if err != nil {
		return store.QuarantinePage{}, fmt.Errorf("read quarantine: %w", err)
	}
	return page, nil
}

// quarantined counts the items that may be events of a window and a scope.
func (tx *readTx) quarantined(ctx context.Context, scope query.Scope, w query.Window) (n int64, err error) {
	received := store.QuarantineWindow(w)
	args := pgx.NamedArgs{"from": received.From, "to": received.To}
	of := ""
	if !scope.IsClusterWide() {
		cluster, namespaces := store.Visible(scope)
		if len(namespaces) == 0 {
			return 0, nil
		}
		of = " AND cluster IN ('', @cluster)"
		args["cluster"] = cluster
	}
	err = tx.QueryRow(ctx, "SELECT count(*) FROM audit_quarantine WHERE received_at >= @from AND received_at < @to"+of, args).Scan(&n)
	return n, err
}

func scanQuarantined(row pgx.CollectableRow) (audit.Quarantined, error) {
	var q audit.Quarantined
	var sum []byte
	err := row.Scan(&q.Source, &q.ReceivedAt, &q.Reason, &q.Size, &sum, &q.Redacted, &q.Cluster)
	q.ReceivedAt = q.ReceivedAt.UTC()
	copy(q.Hash[:], sum)
	return q, err
}
