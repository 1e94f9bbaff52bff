package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// exported is an event whose raw is still to be read.
type exported struct {
	event audit.Event
	place rawPlace
}

// Export implements store.Holdings, in the order of the blobs, so that each is
// unpacked once.
func (s *Store) Export(ctx context.Context, stretch store.Stretch, wanted func(audit.ID) bool, event func(*audit.Event, error) error) error {
	var all []exported
	err := s.readStretch(ctx, stretch, eventColumns, joinDictionaries, "r.raw_batch, r.raw_start", func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, scanExported)
		return err
	})
	if err != nil {
		return fmt.Errorf("export events: %w", err)
	}
	blobs := blobReader{store: s, day: stretch.Day}
	for i := range all {
		next := &all[i]
		if !wanted(next.event.ID) {
			continue
		}
		var damage error
		next.event.Raw, damage = blobs.read(ctx, next.place)
		if damage != nil && !errors.Is(damage, store.ErrDamaged) {
			return fmt.Errorf("export raw events: %w", damage)
		}
		if err := event(&next.event, damage); err != nil {
			return err
		}
	}
	return nil
}

func scanExported(row pgx.CollectableRow) (exported, error) {
	e, at, err := scanEvent(row)
	return exported{e, at}, err
}

// blobReader reads the raws of a day, and each blob once when it is asked in
// order.
type blobReader struct {
	store  *Store
	day    time.Time
	batch  int64 // 0 before the first
	raws   []byte
	damage error // of the blob
}

// read returns a raw that the caller may keep.
func (r *blobReader) read(ctx context.Context, at rawPlace) ([]byte, error) {
	if at.size == 0 {
		return nil, nil
	}
	if at.batch != r.batch {
		if err := r.open(ctx, at.batch); err != nil {
			return nil, err
		}
	}
	switch {
	case r.damage != nil:
		return nil, r.damage
	case int64(at.start)+int64(at.size) > int64(len(r.raws)):
		return nil, fmt.Errorf("the blob of its raw form %w: it is too short", store.ErrDamaged)
	}
	return bytes.Clone(r.raws[at.start : at.start+at.size]), nil
}

func (r *blobReader) open(ctx context.Context, batch int64) error {
	var packed []byte
	err := r.store.call(ctx, func(ctx context.Context) error {
		return r.store.pool.QueryRow(ctx, "SELECT blob FROM audit_raw WHERE batch = $1 AND day = $2", batch, r.day).Scan(&packed)
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil {
		r.raws, err = unpacker.DecodeAll(packed, nil)
	}
	r.batch, r.damage = batch, nil
	if err != nil {
		r.damage = fmt.Errorf("the blob of its raw form %w: %w", store.ErrDamaged, err)
	}
	return nil
}
