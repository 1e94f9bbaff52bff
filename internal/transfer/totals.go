package transfer

import (
	"context"
	"fmt"

	"github.com/porter-dev/audit-operator/internal/store"
)

// copyTotals copies what was counted of each source, and looks whether the
// target counts as much.
func (c *copier) copyTotals(ctx context.Context) error {
	here, err := totals(ctx, c.from)
	if err != nil {
		return err
	}
	if !c.opts.VerifyOnly {
		if err := persist(ctx, func() error { return c.to.ImportTotals(ctx, here) }); err != nil {
			return fmt.Errorf("copy the totals of sources: %w", err)
		}
	}
	there, err := totals(ctx, c.to)
	if err != nil {
		return err
	}
	type key struct{ store, source string }
	known := make(map[key]store.SourceStats, len(there))
	for _, t := range there {
		known[key{t.Store, t.Source}] = t.SourceStats
	}
	sources := map[string]bool{} // whether their totals are there
	for _, t := range here {
		is := known[key{t.Store, t.Source}]
		same := is == is.Grown(t.SourceStats)
		if before, seen := sources[t.Source]; seen {
			same = same && before
		}
		sources[t.Source] = same
	}
	for source, same := range sources {
		c.summary.Sources++
		if !same {
			c.summary.SourcesMissing++
			c.problem("the totals of source %q are smaller in the target", source)
		}
	}
	return nil
}

func totals(ctx context.Context, of store.Holdings) (all []store.Totals, err error) {
	err = persist(ctx, func() error {
		all, err = of.ExportTotals(ctx)
		return err
	})
	return all, err
}
