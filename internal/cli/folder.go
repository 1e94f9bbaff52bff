package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

// openFolder opens the embedded store of a folder that no manager uses. It makes
// none.
func openFolder(ctx context.Context, o embedded.Options) (*embedded.Store, error) {
	database := filepath.Join(o.Dir, embedded.DatabaseFile)
	if _, err := os.Stat(database); err != nil {
		return nil, fmt.Errorf("--data-dir: there is no store: %w", err)
	}
	if err := checkOwner(database, os.Geteuid()); err != nil {
		return nil, err
	}
	return embedded.Open(ctx, o)
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
