package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/retention"
)

// retainOrder says whose days to drop.
type retainOrder struct {
	store, dataDir string
	retention      time.Duration
	yes            bool
}

func retainCommand(s streams) *cobra.Command {
	var o retainOrder
	cmd := &cobra.Command{
		Use: "retain", Short: "Show the days that are past the retention, and drop them with --yes",
		Long: `Show the days that are past the retention, with what they take, and with --yes
drop them. The operator drops a day by itself when it has passed the retention.
More than two, as after a long stop or where --event-retention was shortened,
wait for this command: a clock that is wrong looks the same. Look at the days
before you say yes. What is dropped is gone.

Where a manager runs on the folder of the embedded store, it does the work, by
its own retention. Where none runs, the command opens the folder itself.`,
		Example: "  kubectl exec -n audit-system audit-operator-0 -- /manager retain --data-dir=/data\n" +
			"  manager retain --store=postgres://audit@db/audit --event-retention=720h --yes",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	cmd.Flags().StringVar(&o.store, "store", embeddedStore, "store: embedded, or the URL of a database")
	cmd.Flags().StringVar(&o.dataDir, "data-dir", "data", "folder of the embedded store")
	cmd.Flags().DurationVar(&o.retention, "event-retention", 720*time.Hour, "how long events are kept; that of the operator")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "drop the days that are shown")
	return cmd
}

func (o *retainOrder) run(ctx context.Context, s streams) error {
	switch {
	case o.store != embeddedStore && !isDatabase(o.store):
		return usageError{errors.New("--store: give embedded, or the URL of a database, like postgres://audit@db.example.com/audit")}
	case o.retention < time.Hour || o.retention > maxRetention:
		return usageError{errors.New("--event-retention: give from 1h to 87600h")}
	}
	if o.store == embeddedStore {
		p, failure := maintenance.RequestRetain(ctx, o.dataDir, o.yes)
		if !errors.Is(failure, maintenance.ErrNoManager) {
			if failure == nil {
				o.tell(s, p)
			}
			return failure
		}
	}
	days, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	p, err := retain(ctx, retention.New(retention.Options{Days: days, Retention: o.retention, Log: logTo(s.err)}), o.yes)
	if err == nil {
		o.tell(s, p)
	}
	return errors.Join(err, days.Close())
}

func (o *retainOrder) open(ctx context.Context, s streams) (store.Store, error) {
	if o.store != embeddedStore {
		return openForCopy(ctx, o.store, o.retention, logTo(s.err))
	}
	database := filepath.Join(o.dataDir, embedded.DatabaseFile)
	if _, err := os.Stat(database); err != nil {
		return nil, fmt.Errorf("--data-dir: there is no store: %w", err)
	}
	if err := checkOwner(database, os.Geteuid()); err != nil {
		return nil, err
	}
	return embedded.Open(ctx, embedded.Options{Dir: o.dataDir, Version: version, Retention: o.retention, Log: logTo(s.err)})
}

// retain returns the days that are past the retention, and drops them if it is
// told to.
func retain(ctx context.Context, keeper *retention.Keeper, yes bool) (retention.Plan, error) {
	p, err := keeper.Plan(ctx)
	if err == nil && yes {
		_, err = keeper.Confirmed(ctx, p)
	}
	return p, err
}

// tell shows a plan.
func (o *retainOrder) tell(s streams, p retention.Plan) {
	if p.Doubt != "" {
		fmt.Fprintf(s.out, "The operator's clock is in doubt: %s.\n", p.Doubt)
	}
	for _, d := range p.Days {
		fmt.Fprintf(s.out, "%s %15d bytes\n", d.Day.Format(time.DateOnly), d.Bytes)
	}
	switch {
	case len(p.Days) == 0:
		fmt.Fprintf(s.out, "No day ended before %s: there is nothing to drop.\n", p.Before.Format(time.RFC3339))
	case o.yes:
		fmt.Fprintf(s.out, "Dropped: %d days, %d bytes.\n", len(p.Days), p.Bytes)
	default:
		fmt.Fprintf(s.out, "Past the retention: %d days, %d bytes. Run the same command with --yes to drop them.\n", len(p.Days), p.Bytes)
	}
}
