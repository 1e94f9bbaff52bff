package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/porter-dev/audit-operator/internal/maintenance"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/version"
)

func restoreCommand(s Streams) *cobra.Command {
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

func restore(ctx context.Context, dataDir, from string, verify bool, s Streams) error {
	in := s.In
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
		backup, err = embedded.Restore(ctx, in, embedded.Options{Dir: dataDir, Version: version.Version, Log: logTo(s.Err)}, progress.Update)
	}
	progress.End()
	if err != nil {
		return err
	}
	report(s.Err, done, backup)
	return nil
}
