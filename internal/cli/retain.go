package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/retention"
	"github.com/porter-dev/audit-operator/internal/storecopy"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/version"
)

// retainRequest says whose days to drop.
type retainRequest struct {
	store, dataDir string
	retention      time.Duration
	yes            bool
}

func retainCommand(s Streams) *cobra.Command {
	var o retainRequest
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
	cmd.Flags().StringVar(&o.store, "store", storeurl.Embedded, "store: embedded, or the URL of a database")
	cmd.Flags().StringVar(&o.dataDir, "data-dir", "data", "folder of the embedded store")
	cmd.Flags().DurationVar(&o.retention, "event-retention", 720*time.Hour, "how long events are kept; that of the operator")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "drop the days that are shown")
	return cmd
}

func (o *retainRequest) run(ctx context.Context, s Streams) error {
	if err := storeurl.Validate(o.store); err != nil {
		return usageError{fmt.Errorf("--store: %w", err)}
	}
	if err := retention.Validate(o.retention); err != nil {
		return usageError{fmt.Errorf("--event-retention: %w", err)}
	}
	if o.store == storeurl.Embedded {
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
	p, err := retention.New(retention.Options{Days: days, Retention: o.retention, Log: logTo(s.Err)}).Retain(ctx, o.yes)
	if err == nil {
		o.tell(s, p)
	}
	return errors.Join(err, days.Close())
}

func (o *retainRequest) open(ctx context.Context, s Streams) (store.Store, error) {
	if o.store != storeurl.Embedded {
		return storecopy.OpenDatabase(ctx, o.store, o.retention, logTo(s.Err))
	}
	return openFolder(ctx, embedded.Options{Dir: o.dataDir, Version: version.Version, Retention: o.retention, Log: logTo(s.Err)})
}

// tell shows a plan.
func (o *retainRequest) tell(s Streams, p retention.Plan) {
	if p.Doubt != "" {
		fmt.Fprintf(s.Out, "The operator's clock is in doubt: %s.\n", p.Doubt)
	}
	for _, d := range p.Days {
		fmt.Fprintf(s.Out, "%s %15d bytes\n", d.Day.Format(time.DateOnly), d.Bytes)
	}
	switch {
	case len(p.Days) == 0:
		fmt.Fprintf(s.Out, "No day ended before %s: there is nothing to drop.\n", p.Before.Format(time.RFC3339))
	case o.yes:
		fmt.Fprintf(s.Out, "Dropped: %d days, %d bytes.\n", len(p.Days), p.Bytes)
	default:
		fmt.Fprintf(s.Out, "Past the retention: %d days, %d bytes. Run the same command with --yes to drop them.\n", len(p.Days), p.Bytes)
	}
}
