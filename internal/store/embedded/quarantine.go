package embedded

import (
	"database/sql"
	"slices"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// quarantineSize is what an item counts against Options.QuarantineBytes, and
// quarantineKept asks for the sum.
const (
	quarantineSize = "octet_length(redacted) + strlen(reason) + 100"
	quarantineKept = "SELECT coalesce(sum(" + quarantineSize + "), 0)::BIGINT FROM quarantine"
)

// quarantineColumns are what scanQuarantined reads.
const quarantineColumns = "source, received_at, reason, size, sha256, redacted"

func scanQuarantined(rows *sql.Rows) (audit.Quarantined, error) {
	var q audit.Quarantined
	var receivedAt int64
	var sum []byte
	err := rows.Scan(&q.Source, &receivedAt, &q.Reason, &q.Size, &sum, &q.Redacted)
	q.ReceivedAt = fromMicro(receivedAt)
	copy(q.SHA256[:], sum)
	return q, err
}

// quarantineTypes are the types of the quarantine's columns.
var quarantineTypes = []mapping.Type{
	mapping.TypeBigInt, mapping.TypeVarchar, mapping.TypeBigInt, mapping.TypeVarchar, mapping.TypeBigInt, mapping.TypeBlob, mapping.TypeBlob,
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
			c.columns[5].bytes(i, q.SHA256[:])
			c.columns[6].bytes(i, redacted)
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
