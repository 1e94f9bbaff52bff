package storetest

import (
	"errors"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// testKey checks that a store has a key of its own, which stays, and takes
// another's only while it holds no events.
func testKey(t *testing.T, b *bench) {
	other := b.another(t)
	key, foreign := b.Key(), other.Key()
	if (key == audit.Key{}) || key == foreign {
		t.Fatal("the key is none of its own")
	}
	b.reopen(t)
	if b.Key() != key {
		t.Fatal("after reopening it is another")
	}
	b.append(t, store.Appended{Stored: 1}, plain(1, b.clock.Now()))
	if err := b.holdings(t).ImportKey(t.Context(), foreign); !errors.Is(err, store.ErrOtherKey) {
		t.Errorf("another's key in a store with events = %v", err)
	}
	if b.Key() != key {
		t.Error("the refused key was taken")
	}
	for _, k := range []audit.Key{key, foreign, key} { // empty, it may change
		if err := other.holdings(t).ImportKey(t.Context(), k); err != nil || other.Key() != k {
			t.Fatalf("a key in an empty store = %v", err)
		}
	}
	other.reopen(t)
	other.importEvents(t, 1, plain(1, b.clock.Now()))
	if err := other.holdings(t).ImportKey(t.Context(), key); err != nil || other.Key() != key {
		t.Errorf("its own key again = %v", err)
	}
	other.reopen(t)
	if other.Key() != key {
		t.Error("after reopening the key that was imported is gone")
	}
}
