package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// itemKey tells items of the quarantine apart. An item may be there more than
// once.
type itemKey [sha256.Size]byte

func keyOf(q *audit.Quarantined) itemKey {
	var b []byte
	for _, text := range []string{q.Source, q.Reason} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(q.ReceivedAt.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(q.Size))
	return sha256.Sum256(append(b, q.Hash[:]...))
}

// copyQuarantine copies the items that the target lacks, and looks which are
// there then: the target keeps so many bytes and lets the oldest go.
func (c *copier) copyQuarantine(ctx context.Context) error {
	before, err := c.lacking(ctx)
	if err != nil {
		return err
	}
	q := &c.summary.Quarantine
	q.Present = q.Items - q.TooOld - int64(len(before))
	if c.opts.VerifyOnly {
		q.Missing = int64(len(before))
		return nil
	}
	if err := persist(ctx, func() error { return c.importItems(ctx) }); err != nil {
		return fmt.Errorf("copy the quarantine: %w", err)
	}
	after, err := c.lacking(ctx)
	if err != nil {
		return err
	}
	q.Copied, q.GaveWay = int64(len(before)-len(after)), int64(len(after))
	return nil
}

// importItems may be repeated: it asks anew what is lacking.
func (c *copier) importItems(ctx context.Context) error {
	items, err := c.lacking(ctx)
	if err != nil {
		return err
	}
	for len(items) > 0 {
		n, bytes := 0, 0
		for n < min(len(items), importEvents) && bytes < importBytes {
			bytes += len(items[n].Redacted)
			n++
		}
		if err := c.to.ImportQuarantine(ctx, items[:n]); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// lacking returns the source's items that the target does not hold. They are
// no more than a store keeps in quarantine.
func (c *copier) lacking(ctx context.Context) (items []audit.Quarantined, err error) {
	err = persist(ctx, func() error {
		held := map[itemKey]int{}
		if err := c.to.ExportQuarantine(ctx, func(q *audit.Quarantined) error {
			held[keyOf(q)]++
			return nil
		}); err != nil {
			return err
		}
		count := &c.summary.Quarantine
		count.Items, count.TooOld, items = 0, 0, nil
		oldest := c.to.OldestDay()
		return c.from.ExportQuarantine(ctx, func(q *audit.Quarantined) error {
			count.Items++
			switch key := keyOf(q); {
			case q.ReceivedAt.Before(oldest):
				count.TooOld++
			case held[key] > 0:
				held[key]--
			default:
				items = append(items, *q)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("compare the quarantine: %w", err)
	}
	return items, nil
}
