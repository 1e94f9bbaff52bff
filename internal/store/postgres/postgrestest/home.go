package postgrestest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// home is the folder of a server. It goes with the test binary, however that
// ends: a guard beside it removes it.
type home struct {
	dir   string
	kept  string // the folder of the server's files, where those stay
	bin   string
	owner *syscall.Credential // nil where the server runs as who runs the test
	guard *exec.Cmd
	held  io.Closer // the guard waits for its end
}

func newHome(ctx context.Context, kept string) (*home, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	owner, err := serverUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, kept: kept, bin: bin, owner: owner}
	if err := h.own(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := h.startGuard(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

// own makes the folders the server's.
func (h *home) own() error {
	if h.kept != "" {
		if err := os.MkdirAll(h.kept, 0o700); err != nil {
			return err
		}
	}
	if h.owner == nil {
		return nil
	}
	var err error
	for _, dir := range []string{h.dir, h.kept} {
		if dir != "" {
			err = errors.Join(err, os.Chown(dir, int(h.owner.Uid), int(h.owner.Gid)))
		}
	}
	return err
}

// binaries is the folder that hack/postgres.sh prints, or that of the PATH.
func binaries() (string, error) {
	if dir := os.Getenv("POSTGRES_BIN"); dir != "" {
		return dir, nil
	}
	path, err := exec.LookPath("postgres")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", errors.New("PostgreSQL's server is neither in POSTGRES_BIN nor on the PATH; run: export POSTGRES_BIN=$(hack/postgres.sh)")
	}
	return filepath.Dir(path), nil
}

// Owner is whom the servers run as, where that is not who runs the test.
func Owner() (uid, gid uint32, other bool, err error) {
	owner, err := serverUser()
	if err != nil || owner == nil {
		return 0, 0, false, err
	}
	return owner.Uid, owner.Gid, true, nil
}

// serverUser is whom the server runs as, since it refuses to run as root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// startGuard starts what removes the folder once the pipe is closed: by remove,
// or by the kernel when the test binary has ended in whatever way.
func (h *home) startGuard(ctx context.Context) error {
	const script = `read -r _; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$0" 2>/dev/null && exit; sleep 0.3; done; exit 1`
	h.guard = exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", script, h.dir)
	h.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // out of reach of a Ctrl-C
	held, err := h.guard.StdinPipe()
	if err != nil {
		return err
	}
	h.held = held
	return h.guard.Start()
}

func (h *home) remove() error {
	h.held.Close()
	if err := h.guard.Wait(); err != nil {
		return fmt.Errorf("remove %s: %w", h.dir, err)
	}
	return nil
}

func (h *home) data() string { return cmp.Or(h.kept, filepath.Join(h.dir, "data")) }
func (h *home) log() string  { return filepath.Join(h.dir, "log") }

// isFilled reports whether an earlier server has left its files.
func (h *home) isFilled() bool {
	_, err := os.Stat(filepath.Join(h.data(), "PG_VERSION"))
	return err == nil
}

// initdb makes an empty cluster. Its texts sort as those of most servers do:
// by language, not by byte.
func (h *home) initdb(ctx context.Context, durable bool) error {
	passwords := filepath.Join(h.dir, "password")
	if err := h.write(passwords, Password+"\n"); err != nil {
		return err
	}
	defer os.Remove(passwords)
	err := h.run(ctx, "initdb", "--pgdata="+h.data(), "--username="+User, "--pwfile="+passwords,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8",
		"--locale=C", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync", "--no-instructions")
	if err != nil || durable {
		return err
	}
	return h.configure(map[string]string{"fsync": "off", "full_page_writes": "off"})
}

// configure adds settings to postgresql.conf, where the last one counts.
func (h *home) configure(settings ...map[string]string) error {
	var lines strings.Builder
	for _, some := range settings {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			fmt.Fprintf(&lines, "%s = '%s'\n", name, strings.ReplaceAll(some[name], "'", "''"))
		}
	}
	file, err := os.OpenFile(filepath.Join(h.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(lines.String())
	return err
}

// write makes a file of the server's.
func (h *home) write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	if h.owner == nil {
		return nil
	}
	return os.Chown(path, int(h.owner.Uid), int(h.owner.Gid))
}

// run runs one of PostgreSQL's programs to its end.
func (h *home) run(ctx context.Context, name string, args ...string) error {
	output, err := h.command(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, output)
	}
	return nil
}

func (h *home) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(h.bin, name), args...)
	command.Dir = h.dir
	// None of the PG* variables, which may name another server.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "LC_ALL=C"}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: h.owner, Setpgid: true}
	return command
}

func (h *home) logTail() string {
	data, err := os.ReadFile(h.log())
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), 20)
}
