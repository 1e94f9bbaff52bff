package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// quarantineSize is what an item counts against Options.QuarantineBytes, and
// quarantineKept asks for the sum.
const (
	quarantineSize = "octet_length(redacted) + strlen(reason) + 100"
	quarantineKept = "SELECT coalesce(sum(" + quarantineSize + "), 0)::BIGINT FROM quarantine"
)

// quarantineColumns are what scanQuarantined reads.
const quarantineColumns = "source, received_at, reason, size, sha256, redacted, cluster"

func scanQuarantined(rows *sql.Rows) (audit.Quarantined, error) {
	var q audit.Quarantined
	var receivedAt int64
	var sum []byte
	err := rows.Scan(&q.Source, &receivedAt, &q.Reason, &q.Size, &sum, &q.Redacted, &q.Cluster)
	q.ReceivedAt = fromMicro(receivedAt)
	copy(q.Hash[:], sum)
	return q, err
}

// quarantineTypes are the types of the quarantine's columns.
var quarantineTypes = []mapping.Type{
	mapping.TypeBigInt, mapping.TypeVarchar, mapping.TypeBigInt, mapping.TypeVarchar, mapping.TypeBigInt, mapping.TypeBlob, mapping.TypeBlob,
	mapping.TypeVarchar,
}

// appendQuarantine adds the items and removes the oldest over the limit. It
// returns the bytes kept.
func (w *writer) appendQuarantine(p *plan, limit int64) (int64, error) {
	kept, seq := w.quarantineBytes, w.quarantineSeq
	for items := range slices.Chunk(p.quarantined, chunkRows) {
		c := newChunk(quarantineTypes)
		for i, q := range items {
			redacted := q.Redacted
			if int64(len(redacted)) > limit/4 {
				redacted = nil
			}
			reason := store.Text(q.Reason)
			seq++
			kept += int64(len(redacted)) + int64(len(reason)) + 100
			*at[int64](&c.columns[0], i) = seq
			c.columns[1].text(i, store.Text(q.Source))
			*at[int64](&c.columns[2], i) = q.ReceivedAt.UnixMicro()
			c.columns[3].text(i, reason)
			*at[int64](&c.columns[4], i) = q.Size
			c.columns[5].bytes(i, q.Hash[:])
			c.columns[6].bytes(i, redacted)
			c.columns[7].text(i, store.Text(q.Cluster))
			c.rows++
		}
		err := w.bulk.fill("quarantine", []*chunk{c})
		c.free()
		if err != nil {
			return 0, err
		}
	}
	if kept <= limit {
		return kept, nil
	}
	// A quarter is cleared at once, so that a flood doesn't do this each time.
	if err := w.bulk.exec(`DELETE FROM quarantine WHERE seq <= (SELECT max(seq) FROM (
		SELECT seq, sum(`+quarantineSize+`) OVER (ORDER BY seq DESC) AS kept FROM quarantine) WHERE kept > $1)`, limit/4*3); err != nil {
		return 0, err
	}
	return w.bulk.number(quarantineKept)
}

// Quarantine implements store.Reader.
func (s *Store) Quarantine(ctx context.Context, req store.QuarantineRequest) (store.QuarantinePage, error) {
	limit := max(min(req.Limit, store.MaxQuarantinePage), 0)
	cond := &where{terms: []string{"TRUE"}}
	if req.Source != "" {
		cond.and("source = " + cond.bind(store.Text(req.Source)))
	}
	if req.Before != nil {
		cond.and("(received_at, seq) < (" + cond.bind(req.Before.ReceivedAt.UnixMicro()) + ", " + cond.bind(req.Before.Seq) + ")")
	}
	// What is cut is cut here, so that nobody holds the rest.
	columns := fmt.Sprintf("seq, source, cluster, received_at, left(reason, %d), size, sha256, redacted[1:%d], coalesce(octet_length(redacted), 0)",
		store.MaxQuarantineReason, store.MaxQuarantineContent)
	var page store.QuarantinePage
	err := s.read(ctx, "store.quarantine", func(ctx context.Context, tx *readTx) error {
		rows, err := tx.QueryContext(ctx, "SELECT "+columns+" FROM quarantine WHERE "+cond.String()+" ORDER BY received_at DESC, seq DESC LIMIT "+strconv.Itoa(limit+1), cond.args...)
		if err != nil {
			return err
		}
		var items []store.QuarantineItem
		var places []store.QuarantinePosition
		if err := each(rows, func() error {
			var q store.QuarantineItem
			var seq, receivedAt int64
			var sum []byte
			err := rows.Scan(&seq, &q.Source, &q.Cluster, &receivedAt, &q.Reason, &q.Size, &sum, &q.Redacted, &q.ContentBytes)
			q.ReceivedAt = fromMicro(receivedAt)
			copy(q.Hash[:], sum)
			items, places = append(items, q), append(places, store.QuarantinePosition{ReceivedAt: q.ReceivedAt, Seq: seq})
			return err
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
	cond := &where{}
	cond.and("received_at >= " + cond.bind(received.From.UnixMicro()))
	cond.and("received_at < " + cond.bind(received.To.UnixMicro()))
	if !scope.IsClusterWide() {
		cluster, namespaces := store.Visible(scope)
		if len(namespaces) == 0 {
			return 0, nil
		}
		cond.and("cluster IN ('', " + cond.bind(cluster) + ")")
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM quarantine WHERE "+cond.String(), cond.args...).Scan(&n)
	return n, err
}
