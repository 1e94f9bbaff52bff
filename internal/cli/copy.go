package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/storecopy"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/transfer"
	"github.com/porter-dev/audit-operator/internal/version"
)

func copyCommand(s Streams) *cobra.Command {
	var r storecopy.Request
	var dataDir string
	cmd := &cobra.Command{
		Use: "copy", Short: "Copy events, snapshots, quarantine and totals from one store to another",
		Long: `Copy events with their raw form, snapshots, the quarantine and the totals of
sources from one store to another: from the embedded store to PostgreSQL, back,
or from one database to another. What the target holds already is skipped, so
the same command goes on where it was interrupted. The source is only read.

What arrived is proved: for each day by a digest over the IDs and the raw forms'
SHA-256 of both sides, for each snapshot by its own. Exit code 0 means that the
target holds everything that it keeps at all.

Where a manager runs on the folder of the embedded store, it does the copying
and goes on serving; the database's password file and PG* variables are then its
own. Where none runs, the command opens the folder itself. A database must have
the schema: run manager migrate first.`,
		Example: "  kubectl exec -n audit-system audit-operator-0 -- /manager copy --data-dir=/data --from=embedded --to=postgres://audit@db/audit\n" +
			"  manager copy --from=postgres://audit@db/audit --to=embedded --data-dir=/var/lib/audit\n" +
			"  manager copy --verify-only --from=postgres://audit@old/audit --to=postgres://audit@new/audit",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return copyStores(cmd.Context(), dataDir, r, s) },
	}
	cmd.Flags().StringVar(&r.From, "from", "", "store to copy from: embedded, the URL of a database, or - to read the URL from standard input (required)")
	cmd.Flags().StringVar(&r.To, "to", "", "store to copy to, likewise (required)")
	cmd.Flags().StringVar(&dataDir, "data-dir", "data", "folder of the embedded store")
	cmd.Flags().DurationVar(&r.Retention, "event-retention", 720*time.Hour, "that of the operator that will use the target: older days are left out, and named")
	cmd.Flags().BoolVar(&r.VerifyOnly, "verify-only", false, "compare and copy nothing")
	cmd.Flags().BoolVar(&r.DropDamagedRaw, "drop-damaged-raw", false, "copy events whose raw form is damaged in the source without it; otherwise they stay behind")
	return cmd
}

func copyStores(ctx context.Context, dataDir string, r storecopy.Request, s Streams) error {
	if err := r.Complete(s.In); err != nil {
		return usageError{err}
	}
	doing := "Copying"
	if r.VerifyOnly {
		doing = "Comparing"
	}
	progress := s.progress("Connecting", doing, maintenance.Events)
	summary, err := requestCopy(ctx, dataDir, &r, progress, s)
	progress.End()
	if len(summary.Days) > 0 || err == nil {
		if err := summary.Write(s.Out); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w\nWhat has arrived stays: run the same command again to go on", err)
	case !summary.Whole():
		return errors.New("the target does not hold all that the source does, as told above")
	}
	return nil
}

// requestCopy has the manager that runs do it or, where none does or
// none is needed, this process.
func requestCopy(ctx context.Context, dataDir string, r *storecopy.Request, progress *maintenance.Progress, s Streams) (summary transfer.Summary, err error) {
	log := logTo(s.Err)
	if r.From != storeurl.Embedded && r.To != storeurl.Embedded {
		return r.Run(ctx, nil, log, progress.Update)
	}
	failure := maintenance.RequestCopy(ctx, dataDir, r, &summary, progress.Update)
	if !errors.Is(failure, maintenance.ErrNoManager) {
		return summary, failure
	}
	own, err := openForCopy(ctx, dataDir, r, log)
	if err != nil {
		return summary, fmt.Errorf("%w, and the store can't be opened instead: %w", failure, err)
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	progress.Say("No manager uses %s; the store is opened for this copy.", dataDir)
	return r.Run(ctx, own, log, progress.Update)
}

// openForCopy opens an embedded store that no manager uses. It makes one only to
// copy to it.
func openForCopy(ctx context.Context, dataDir string, r *storecopy.Request, log logr.Logger) (*embedded.Store, error) {
	o := embedded.Options{Dir: dataDir, Version: version.Version, Retention: r.Retention, Log: log}
	if r.From == storeurl.Embedded {
		return openFolder(ctx, o)
	}
	if err := checkOwner(dataDir, os.Geteuid()); err != nil {
		return nil, err
	}
	return embedded.Open(ctx, o)
}
