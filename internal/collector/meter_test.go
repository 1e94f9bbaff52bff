package collector

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
)

// TestLargeItemIsReserved: what is held of an item beyond the bound is reserved
// as often as it is copied, and refused where there is no room.
func TestLargeItemIsReserved(t *testing.T) {
	const maxItem = 1 << 20
	b := newBudget(2*largeCopies*maxLarge+4*reserveStep, nil) // room for two such items
	open := func(source string) *meter {
		t.Helper()
		r, err := b.open(source, mostHeld(maxItem))
		if err != nil {
			t.Fatal(err)
		}
		ended := func(at time.Time) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithDeadline(t.Context(), at)
			cancel()
			return ctx, cancel
		}
		return &meter{reservation: r, maxItem: maxItem, until: ended}
	}
	m := open("a")
	for _, bytes := range []int64{maxItem, maxLarge} {
		if err := m.holdLarge(bytes); err != nil {
			t.Fatal(err)
		}
		if m.held < largeCopies*bytes {
			t.Errorf("%d bytes are reserved for an item of which %d are held", m.held, bytes)
		}
	}
	if err := open("b").holdLarge(maxLarge); err != nil {
		t.Fatal(err)
	}
	if err := open("c").holdLarge(maxLarge); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("without room: %v", err)
	}
}
