package embedded

import (
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, openForSuite) }

func TestHoldings(t *testing.T) { storetest.RunHoldings(t, openForSuite) }

func openForSuite(t *testing.T, opts storetest.Options) store.Store {
	return mustOpen(t, Options{Dir: opts.Dir, Now: opts.Now, Retention: opts.Retention, SnapshotQuota: opts.SnapshotQuota})
}

func mustOpen(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}
