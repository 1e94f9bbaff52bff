package torture

import (
	"context"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

// storage is where managers keep events.
type storage interface {
	// flag has a manager use it.
	flag() string
	// open reads what managers have left there.
	open(ctx context.Context) (contents, error)
}

// contents are read as they are, past what managers make of them.
type contents interface {
	// Verify calls event for each stored event, whose raw proved to be readable
	// and the very bytes that were stored.
	Verify(ctx context.Context, event func(audit.ID) error) error
	// Sources returns what was counted of each source.
	Sources(ctx context.Context) ([]store.SourceStats, error)
	// Key is the store's.
	Key() audit.Key
	Close() error
}

// folder is where the embedded store is, which is read once no manager has it
// open.
type folder string

func (f folder) flag() string { return "--data-dir=" + string(f) }

func (f folder) open(ctx context.Context) (contents, error) {
	return embedded.Open(ctx, embedded.Options{Dir: string(f), StatementTimeout: 10 * time.Minute})
}
