package embedded

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Verify reads everything that is stored, in one read transaction: it calls
// event for each event once its raw proved to be readable and the very bytes
// that were stored, and fails at the first that does not.
func (s *Store) Verify(ctx context.Context, event func(audit.ID) error) error {
	err := s.read(ctx, "store.verify", func(ctx context.Context, tx *readTx) error {
		for _, day := range tx.days {
			if err := s.verifyDay(ctx, tx, day, event); err != nil {
				return fmt.Errorf("%s: %w", tableOf(day), err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("verify the store: %w", err)
	}
	return nil
}

// verifyDay reads a day in the order of its segment, so that each frame is
// unpacked once.
func (s *Store) verifyDay(ctx context.Context, tx *readTx, day int, event func(audit.ID) error) error {
	file, err := os.Open(segmentPath(s.opts.Dir, day))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a day without raws has none
		return err
	}
	defer file.Close()
	rows, err := tx.QueryContext(ctx, "SELECT id, raw_sha_high, raw_sha_low, raw_frame, raw_start, raw_size FROM "+
		tableOf(day)+" ORDER BY raw_frame, raw_start")
	if err != nil {
		return err
	}
	frame, raws := int64(-1), []byte(nil)
	return each(rows, func() error {
		var id, high, low []byte
		var at place
		if err := rows.Scan(&id, &high, &low, &at.frame, &at.start, &at.size); err != nil {
			return err
		}
		if at.size > 0 {
			if at.frame != frame {
				if raws, err = readFrame(file, at.frame); err != nil {
					return fmt.Errorf("event %s: %w", audit.ID(id), err)
				}
				frame = at.frame
			}
			if int(at.start)+int(at.size) > len(raws) {
				return fmt.Errorf("event %s: %w at offset %d: frame is too short", audit.ID(id), errDamaged, at.frame)
			}
			if sum := sha256.Sum256(raws[at.start : at.start+at.size]); string(sum[:]) != string(high)+string(low) {
				return fmt.Errorf("event %s: %w at offset %d: raw is another's", audit.ID(id), errDamaged, at.frame)
			}
		}
		return event(audit.ID(id))
	})
}
