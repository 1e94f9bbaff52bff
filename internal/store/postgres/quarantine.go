package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// quarantineColumns are what scanQuarantined reads.
const quarantineColumns = "source, received_at, reason, size, sha256, redacted"

// Quarantine implements store.Reader.
func (s *Store) Quarantine(ctx context.Context, source string, limit int) (items []audit.Quarantined, err error) {
	err = s.read(ctx, "store.quarantine", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.Query(ctx, "SELECT "+quarantineColumns+` FROM audit_quarantine
			WHERE source = $1 ORDER BY received_at DESC, seq DESC LIMIT $2`, store.Text(source), max(limit, 0))
		if err != nil {
			return err
		}
		items, err = pgx.CollectRows(rows, scanQuarantined)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return items, nil
}

func scanQuarantined(row pgx.CollectableRow) (audit.Quarantined, error) {
	var q audit.Quarantined
	var sum []byte
	err := row.Scan(&q.Source, &q.ReceivedAt, &q.Reason, &q.Size, &sum, &q.Redacted)
	q.ReceivedAt = q.ReceivedAt.UTC()
	copy(q.SHA256[:], sum)
	return q, err
}
