package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/version"
)

func backupCommand(s Streams) *cobra.Command {
	var dataDir, to string
	cmd := &cobra.Command{
		Use: "backup", Short: "Write a consistent copy of the embedded store, also while the manager runs",
		Long: `Write a consistent copy of the embedded store: everything that was acknowledged
before the command began is in it. The manager goes on taking events.

The manager makes the copy, which takes as much space in the data directory as
events.duckdb until the command ends. Where no manager runs, the command opens
the store itself. The copy is a tar archive, checked to its last byte while it
is written: exit code 0 means that it is whole.`,
		Example: "  kubectl exec -n audit-system audit-operator-0 -- /manager backup --data-dir=/data > audit.tar",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return backUp(cmd.Context(), dataDir, to, s)
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "data", "folder of the store")
	cmd.Flags().StringVar(&to, "to", "-", "file to write, which appears once it is whole; - for standard output")
	return cmd
}

func backUp(ctx context.Context, dataDir, to string, s Streams) error {
	if to == "-" && isTerminal(s.Out) {
		return usageError{errors.New("standard output is a terminal: redirect it, as in > audit.tar, or give --to=<file>")}
	}
	progress := s.progress("Waiting for the copy of the database", "Writing", maintenance.Bytes)
	var backup embedded.Restored
	err := func() error {
		defer progress.End()
		from, err := requestBackup(ctx, dataDir, progress, s)
		if err != nil {
			return err
		}
		defer from.Body.Close()
		write := func(w io.Writer) (err error) {
			backup, err = embedded.VerifyBackup(ctx, io.TeeReader(from.Body, w), progress.Update)
			return err
		}
		if to == "-" {
			return write(s.Out)
		}
		return maintenance.WriteFile(to, write)
	}()
	if err != nil {
		return err
	}
	report(s.Err, "Backed up", backup)
	return nil
}

// requestBackup asks the manager that runs or, where none does, the store.
func requestBackup(ctx context.Context, dataDir string, progress *maintenance.Progress, s Streams) (*maintenance.Download, error) {
	from, failure := maintenance.RequestBackup(ctx, dataDir)
	if !errors.Is(failure, maintenance.ErrNoManager) {
		return from, failure
	}
	store, err := openFolder(ctx, embedded.Options{Dir: dataDir, Version: version.Version, Log: logTo(s.Err)})
	if err != nil {
		return nil, fmt.Errorf("%w, and the store can't be opened instead: %w", failure, err)
	}
	progress.Say("No manager uses %s; the store is opened for this backup.", dataDir)
	backup, err := store.Backup(ctx)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	reader, writer := io.Pipe()
	body := &localBody{PipeReader: reader, closed: make(chan struct{})}
	go func() {
		defer close(body.closed)
		writer.CloseWithError(errors.Join(backup.Stream(ctx, writer), backup.Close(), store.Close()))
	}()
	return &maintenance.Download{Size: backup.Size(), Body: body}, nil
}

// localBody is a backup of a store that its end closes.
type localBody struct {
	*io.PipeReader
	closed chan struct{} // when the store is
}

func (b *localBody) Close() error {
	err := b.PipeReader.Close()
	<-b.closed
	return err
}

// report says what is in a backup, and what was not in its store.
func report(out io.Writer, done string, backup embedded.Restored) {
	h := &backup.Header
	fmt.Fprintf(out, "%s %d events of %d days, %d snapshots, as of %s (%d MiB).\n",
		done, h.Events, len(h.Days), h.Snapshots, h.AsOf.Format(time.RFC3339), h.Bytes>>20)
	for _, name := range backup.Damaged {
		fmt.Fprintf(out, "Warning: %s was damaged in the store that was backed up; some events of that day have lost their raw form.\n", name)
	}
}
