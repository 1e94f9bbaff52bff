// Package cli has the commands beside the operator itself: backup, restore, copy,
// migrate, retain and quarantine.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/storeurl"
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	terminal bool // whether Err is one
}

// Standard are those of the process.
func Standard() Streams { return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr} }

// Main runs the command that a command line names or, where it names none, the
// manager. It returns the process's exit code.
func Main(args []string, s Streams, manager func(args []string, out, messages io.Writer) int) int {
	if isCommand(args) {
		return Run(context.Background(), args, s)
	}
	return manager(args, s.Out, s.Err)
}

// isCommand reports whether a command line names a command; without one, the
// manager runs.
func isCommand(args []string) bool { return len(args) > 0 && !strings.HasPrefix(args[0], "-") }

// Run runs a command and returns the process's exit code: 1 when it failed, 2
// when it was asked the wrong way.
func Run(ctx context.Context, args []string, s Streams) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	// The log and the progress write beside each other.
	s.terminal, s.Err = isTerminal(s.Err), zapcore.Lock(zapcore.AddSync(s.Err))
	root := &cobra.Command{
		Use: "manager", Short: "The audit operator. Without a command, it runs; see manager --help.",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(backupCommand(s), restoreCommand(s), migrateCommand(s), copyCommand(s), retainCommand(s), quarantineCommand(s))
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.InitDefaultHelpCmd()
	if _, _, err := root.Find(args); err != nil {
		fmt.Fprintf(s.Err, "Error: unknown command %q; there are backup, restore, copy, migrate, retain and quarantine, and without a command the operator runs: see manager --help\n", storeurl.Redact(args)[0])
		return 2
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(s.Err, "Error: %v\n", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is the caller's mistake.
type usageError struct{ error }

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected arguments %q; see %s --help", storeurl.Redact(args), cmd.CommandPath())}
	}
	return nil
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (s Streams) progress(waiting, doing string, unit maintenance.Unit) *maintenance.Progress {
	return maintenance.NewProgress(s.Err, s.terminal, waiting, doing, unit, 5*time.Second)
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
