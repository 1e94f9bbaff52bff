package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/position"
)

// tailPosition is after an arrival, of which the anchor is the first number, so
// that it is known again. Of the next arrival, within is the last event that
// was seen; nil for none.
type tailPosition struct {
	seq, anchor int64
	within      *query.Position
}

const (
	positionVersion = 2
	shortPosition   = 1 + 8 + 8
	longPosition    = shortPosition + 8 + 16
)

func (p tailPosition) encode() []byte {
	b := append(make([]byte, 0, longPosition), positionVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(p.seq))
	b = binary.BigEndian.AppendUint64(b, uint64(p.anchor))
	if p.within != nil {
		b = binary.BigEndian.AppendUint64(b, uint64(p.within.OccurredAt.UnixMicro()))
		b = append(b, p.within.ID[:]...)
	}
	return b
}

// decodePosition reads what encode wrote; anything else is store.ErrPosition.
func decodePosition(b []byte) (tailPosition, error) {
	if len(b) != shortPosition && len(b) != longPosition || b[0] != positionVersion {
		return tailPosition{}, store.ErrPosition
	}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	p := tailPosition{seq: number(1), anchor: number(9)}
	if len(b) == longPosition {
		p.within = &query.Position{OccurredAt: time.UnixMicro(number(shortPosition)).UTC(), ID: audit.ID(b[shortPosition+8:])}
	}
	if p.seq < 0 {
		return tailPosition{}, store.ErrPosition
	}
	return p, nil
}

// codec seals positions. All replicas have the same, by the store's identity.
func (s *Store) codec(ctx context.Context) (*position.Codec, error) {
	if c := s.positions.Load(); c != nil {
		return c, nil
	}
	var identity [16]byte
	if err := s.pool.QueryRow(ctx, "SELECT id FROM audit_identity").Scan(&identity); err != nil {
		return nil, fmt.Errorf("read the store's identity: %w", err)
	}
	c := position.New(identity[:])
	s.positions.Store(c)
	return c, nil
}
