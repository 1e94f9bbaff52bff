package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/retention"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // whether err is one
}

// isCommand reports whether a command line names a command; without one, the
// manager runs.
func isCommand(args []string) bool { return len(args) > 0 && !strings.HasPrefix(args[0], "-") }

// command runs a command and returns the process's exit code: 1 when it
// failed, 2 when it was asked the wrong way.
func command(ctx context.Context, args []string, s streams) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	// The log and the progress write beside each other.
	s.terminal, s.err = isTerminal(s.err), zapcore.Lock(zapcore.AddSync(s.err))
	root := &cobra.Command{
		Use: "manager", Short: "The audit operator. Without a command, it runs; see manager --help.",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(backupCommand(s), restoreCommand(s), migrateCommand(s), copyCommand(s), retainCommand(s), quarantineCommand(s))
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.InitDefaultHelpCmd()
	if _, _, err := root.Find(args); err != nil {
		fmt.Fprintf(s.err, "Error: unknown command %q; there are backup, restore, copy, migrate, retain and quarantine, and without a command the operator runs: see manager --help\n", quotable(args)[0])
		return 2
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(s.err, "Error: %v\n", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is the caller's mistake.
type usageError struct{ error }

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected arguments %q; see %s --help", quotable(args), cmd.CommandPath())}
	}
	return nil
}

// quotable returns arguments as a message may quote them: a URL may hold a
// password.
func quotable(args []string) []string {
	var out []string
	for _, arg := range args {
		if scheme, _, ok := strings.Cut(arg, "://"); ok {
			arg = scheme + "://…"
		}
		out = append(out, arg)
	}
	return out
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (s streams) progress(waiting, doing string, unit maintenance.Unit) *maintenance.Progress {
	return maintenance.NewProgress(s.err, s.terminal, waiting, doing, unit, 5*time.Second)
}

func backupCommand(s streams) *cobra.Command {
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

func backUp(ctx context.Context, dataDir, to string, s streams) error {
	if to == "-" && isTerminal(s.out) {
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
			return write(s.out)
		}
		return maintenance.WriteFile(to, write)
	}()
	if err != nil {
		return err
	}
	report(s.err, "Backed up", backup)
	return nil
}

// requestBackup asks the manager that runs or, where none does, the store.
func requestBackup(ctx context.Context, dataDir string, progress *maintenance.Progress, s streams) (*maintenance.Download, error) {
	from, failure := maintenance.RequestBackup(ctx, dataDir)
	if !errors.Is(failure, maintenance.ErrNoManager) {
		return from, failure
	}
	database := filepath.Join(dataDir, embedded.DatabaseFile)
	if _, err := os.Stat(database); err != nil {
		return nil, fmt.Errorf("--data-dir: there is no store: %w", err)
	}
	if err := checkOwner(database, os.Geteuid()); err != nil {
		return nil, err
	}
	store, err := embedded.Open(ctx, embedded.Options{Dir: dataDir, Version: version, Log: logTo(s.err)})
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

func restoreCommand(s streams) *cobra.Command {
	var dataDir, from string
	var verify bool
	cmd := &cobra.Command{
		Use: "restore", Short: "Make a store of a backup, in an empty directory",
		Long: `Make a store of a backup, in a directory that is absent or empty and that no
manager uses. The backup is checked to its last byte, and its database opened,
before the directory counts as a store. A restore that was interrupted is begun
again by the same command.`,
		Example: "  manager restore --data-dir=/data --from=audit.tar\n  manager restore --verify-only --from=audit.tar",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return restore(cmd.Context(), dataDir, from, verify, s)
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "data", "folder of the store to make")
	cmd.Flags().StringVar(&from, "from", "-", "backup to read; - for standard input")
	cmd.Flags().BoolVar(&verify, "verify-only", false, "check the backup and write nothing")
	return cmd
}

func restore(ctx context.Context, dataDir, from string, verify bool, s streams) error {
	in := s.in
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return fmt.Errorf("--from: %w", err)
		}
		defer file.Close()
		in = file
	} else if isTerminal(in) {
		return usageError{errors.New("standard input is a terminal: redirect it, as in < audit.tar, or give --from=<file>")}
	}
	progress := s.progress("Waiting for the backup", "Reading", maintenance.Bytes)
	done := "Restored"
	var backup embedded.Restored
	var err error
	if verify {
		done = "The backup is whole, with"
		backup, err = embedded.VerifyBackup(ctx, in, progress.Update)
	} else if err = checkOwner(dataDir, os.Geteuid()); err == nil {
		backup, err = embedded.Restore(ctx, in, embedded.Options{Dir: dataDir, Version: version, Log: logTo(s.err)}, progress.Update)
	}
	progress.End()
	if err != nil {
		return err
	}
	report(s.err, done, backup)
	return nil
}

// checkOwner refuses to write beside what belongs to another user, because the
// operator, which runs as that one, could not open the files afterwards. Of a
// path that is absent it asks what the path will be made in. What belongs to
// root says nothing: so do volumes whose group was given to the operator.
func checkOwner(path string, user int) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		return checkOwner(filepath.Dir(path), user)
	}
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != user {
		return fmt.Errorf("--data-dir: %s belongs to user %d, who could not open what user %d writes there: run the command as that user, as in sudo -u '#%[2]d'",
			path, stat.Uid, user)
	}
	return nil
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

// logTo writes what the store reports to people, who see no use in its time.
func logTo(out io.Writer) logr.Logger {
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}
	return logr.FromSlogHandler(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
}

// serveCommands answers commands such as backup until ctx ends. The operator
// does its work without them.
func serveCommands(ctx context.Context, dataDir string, store *embedded.Store, keeper *retention.Keeper, log logr.Logger) {
	err := maintenance.Serve(ctx, dataDir, maintenance.Commands{
		Backup:     func(ctx context.Context) (maintenance.Copy, error) { return store.Backup(ctx) },
		Copy:       copyWith(store, log),
		Retain:     func(ctx context.Context, yes bool) (retention.Plan, error) { return retain(ctx, keeper, yes) },
		Quarantine: answerQuarantine(store),
	}, log)
	if err != nil {
		log.Error(err, "Commands such as backup can't reach this manager")
	}
}
