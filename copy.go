package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/transfer"
)

// copyOrder says what to copy. A manager that runs gets it from the command.
type copyOrder struct {
	From, To       string // embeddedStore, or the URL of a database
	Retention      time.Duration
	VerifyOnly     bool
	DropDamagedRaw bool
}

func copyCommand(s streams) *cobra.Command {
	var o copyOrder
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
		RunE: func(cmd *cobra.Command, _ []string) error { return copyStores(cmd.Context(), dataDir, o, s) },
	}
	cmd.Flags().StringVar(&o.From, "from", "", "store to copy from: embedded, the URL of a database, or - to read the URL from standard input (required)")
	cmd.Flags().StringVar(&o.To, "to", "", "store to copy to, likewise (required)")
	cmd.Flags().StringVar(&dataDir, "data-dir", "data", "folder of the embedded store")
	cmd.Flags().DurationVar(&o.Retention, "event-retention", 720*time.Hour, "that of the operator that will use the target: older days are left out, and named")
	cmd.Flags().BoolVar(&o.VerifyOnly, "verify-only", false, "compare and copy nothing")
	cmd.Flags().BoolVar(&o.DropDamagedRaw, "drop-damaged-raw", false, "copy events whose raw form is damaged in the source without it; otherwise they stay behind")
	return cmd
}

func copyStores(ctx context.Context, dataDir string, o copyOrder, s streams) error {
	if err := o.complete(s.in); err != nil {
		return usageError{err}
	}
	doing := "Copying"
	if o.VerifyOnly {
		doing = "Comparing"
	}
	progress := s.progress("Connecting", doing, maintenance.Events)
	summary, err := o.request(ctx, dataDir, progress, s)
	progress.End()
	if len(summary.Days) > 0 || err == nil {
		if err := summary.Write(s.out); err != nil {
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

// complete reads a URL that is to come from standard input, and checks the order.
func (o *copyOrder) complete(in io.Reader) error {
	if o.From == "-" && o.To == "-" {
		return errors.New("--from, --to: only one URL can come from standard input")
	}
	for _, flag := range []struct {
		name  string
		store *string
	}{{"from", &o.From}, {"to", &o.To}} {
		if *flag.store == "-" {
			line, err := io.ReadAll(io.LimitReader(in, 4<<10))
			if err != nil {
				return fmt.Errorf("--%s: read standard input: %w", flag.name, err)
			}
			*flag.store = strings.TrimSpace(string(line))
		}
		if *flag.store != embeddedStore && !isDatabase(*flag.store) {
			return fmt.Errorf("--%s: give embedded, or the URL of a database, like postgres://audit@db.example.com/audit", flag.name)
		}
	}
	if o.From == o.To {
		return errors.New("--from, --to: give two stores")
	}
	if o.Retention < time.Hour || o.Retention > maxRetention {
		return errors.New("--event-retention: give from 1h to 87600h")
	}
	return nil
}

// request has the manager that runs carry out the order or, where none does or
// none is needed, this process.
func (o *copyOrder) request(ctx context.Context, dataDir string, progress *maintenance.Progress, s streams) (summary transfer.Summary, err error) {
	log := logTo(s.err)
	if o.From != embeddedStore && o.To != embeddedStore {
		return o.run(ctx, nil, log, progress.Update)
	}
	failure := maintenance.RequestCopy(ctx, dataDir, o, &summary, progress.Update)
	if !errors.Is(failure, maintenance.ErrNoManager) {
		return summary, failure
	}
	own, err := o.openFolder(ctx, dataDir, log)
	if err != nil {
		return summary, fmt.Errorf("%w, and the store can't be opened instead: %w", failure, err)
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	progress.Say("No manager uses %s; the store is opened for this copy.", dataDir)
	return o.run(ctx, own, log, progress.Update)
}

// openFolder opens an embedded store that no manager uses. It makes one only to
// copy to it.
func (o *copyOrder) openFolder(ctx context.Context, dataDir string, log logr.Logger) (*embedded.Store, error) {
	owned := dataDir
	if o.From == embeddedStore {
		owned = filepath.Join(dataDir, embedded.DatabaseFile)
		if _, err := os.Stat(owned); err != nil {
			return nil, fmt.Errorf("--data-dir: there is no store: %w", err)
		}
	}
	if err := checkOwner(owned, os.Geteuid()); err != nil {
		return nil, err
	}
	return embedded.Open(ctx, embedded.Options{Dir: dataDir, Version: version, Retention: o.Retention, Log: log})
}

// run carries out the order. The embedded store of it, if any, is own.
func (o *copyOrder) run(ctx context.Context, own *embedded.Store, log logr.Logger, progress func(done, total int64)) (summary transfer.Summary, err error) {
	var stores [2]store.Holdings
	for i, name := range []string{o.From, o.To} {
		if name == embeddedStore {
			stores[i] = own
			continue
		}
		database, err := openForCopy(ctx, name, o.Retention, log)
		if err != nil {
			return summary, err
		}
		defer func() { err = errors.Join(err, database.Close()) }()
		stores[i] = database
	}
	return transfer.Copy(ctx, stores[0], stores[1], transfer.Options{VerifyOnly: o.VerifyOnly, DropDamagedRaw: o.DropDamagedRaw, Progress: progress})
}

// schemaPatience is how long a copy waits for a schema that is being migrated.
const schemaPatience = 10 * time.Second

func openForCopy(ctx context.Context, url string, retention time.Duration, log logr.Logger) (*postgres.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, schemaPatience)
	defer cancel()
	return postgres.Open(ctx, postgres.Options{URL: url, Version: version, Retention: retention, Log: log})
}

// copyWith carries out the orders that the manager of an embedded store gets.
func copyWith(own *embedded.Store, log logr.Logger) maintenance.CopyStore {
	return func(ctx context.Context, message json.RawMessage, progress func(done, total int64)) (any, error) {
		var o copyOrder
		if err := json.Unmarshal(message, &o); err != nil {
			return nil, errors.New("the order can't be read; is the command of another version?")
		}
		if err := o.complete(strings.NewReader("")); err != nil {
			return nil, err
		}
		return o.run(ctx, own, log, progress)
	}
}
