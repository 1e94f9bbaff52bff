package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// runCommand runs a command in this process.
func runCommand(t *testing.T, in []byte, args ...string) (code int, out []byte, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), args, Streams{In: bytes.NewReader(in), Out: &stdout, Err: &stderr})
	return code, stdout.Bytes(), stderr.String()
}

func TestCommandLine(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	for _, tt := range []struct {
		args []string
		code int
		want string // in what is written
	}{
		{[]string{"help"}, 0, "backup"},
		{[]string{"backup", "--help"}, 0, "--data-dir"},
		{[]string{"restore", "--help"}, 0, "--verify-only"},
		{[]string{"migrate", "--help"}, 0, "--store"},
		{[]string{"migrate", "--store=embedded"}, 2, "--store: give the URL of a database"},
		{[]string{"migrate", "postgres://me:s3cret@db"}, 2, `unexpected arguments ["postgres://…"]; see manager migrate --help`},
		{[]string{"postgres://me:s3cret@db"}, 2, `unknown command "postgres://…"`},
		{[]string{"serve"}, 2, `unknown command "serve"`},
		{[]string{"backup", "--colour=red"}, 2, "unknown flag: --colour; see manager backup --help"},
		{[]string{"restore", "audit.tar"}, 2, `unexpected arguments ["audit.tar"]; see manager restore --help`},
		{[]string{"backup", "--data-dir=" + absent}, 1, "--data-dir: there is no store"},
		{[]string{"restore", "--from=" + absent}, 1, "--from: open " + absent},
		{[]string{"restore", "--data-dir=" + absent}, 1, "no whole backup: it was cut off after 0 bytes"},
	} {
		code, out, messages := runCommand(t, nil, tt.args...)
		if code != tt.code || !strings.Contains(string(out)+messages, tt.want) {
			t.Errorf("%v ends with %d, want %d, and says, want %q:\n%s%s", tt.args, code, tt.code, tt.want, out, messages)
		}
	}
	if _, err := os.Lstat(absent); err == nil {
		t.Error("a command that failed made a directory")
	}
	for _, line := range [][]string{nil, {"--cluster-name=x"}, {"--version", "backup"}} {
		if isCommand(line) {
			t.Errorf("%q is taken for a command", line)
		}
	}
}

// TestBackUpStopped backs up a store that no manager uses, to a file.
func TestBackUpStopped(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "audit.tar")
	s := embeddedtest.Open(t, embedded.Options{Dir: dir})
	code, _, messages := runCommand(t, nil, "backup", "--data-dir="+dir, "--to="+to)
	if code != 1 || !strings.Contains(messages, "no manager listens") || !strings.Contains(messages, "open in another process") {
		t.Errorf("of a store that is open, the command ends with %d and says %q", code, messages)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, messages := runCommand(t, nil, "backup", "--data-dir="+dir, "--to="+to)
	if code != 0 || len(out) > 0 || !strings.Contains(messages, "No manager uses "+dir) {
		t.Errorf("the command ends with %d and says %q", code, messages)
	}
	if code, _, messages := runCommand(t, nil, "restore", "--verify-only", "--from="+to); code != 0 {
		t.Errorf("what it wrote: %s", messages)
	}
	if code, _, messages := runCommand(t, nil, "backup", "--data-dir="+dir, "--to="+filepath.Join(to, "no-folder")); code != 1 {
		t.Errorf("to where nothing can be written, the command ends with %d and says %q", code, messages)
	}
	embeddedtest.Open(t, embedded.Options{Dir: dir}) // it is closed
}

// TestOtherOwner writes nothing beside what belongs to another user.
func TestOtherOwner(t *testing.T) {
	dir, owner := t.TempDir(), os.Geteuid()
	database := filepath.Join(dir, embedded.DatabaseFile)
	if err := os.WriteFile(database, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if owner == 0 {
		owner = 65532
		for _, path := range []string{database, dir} {
			if err := os.Chown(path, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := fmt.Sprintf("belongs to user %d, ", owner)
	for _, path := range []string{dir, database, filepath.Join(dir, "absent", "too")} {
		if err := checkOwner(path, owner); err != nil {
			t.Errorf("for its owner: %v", err)
		}
		for _, other := range []int{0, owner + 1} {
			if err := checkOwner(path, other); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s for user %d: %v, want that it says %q", path, other, err, want)
			}
		}
	}
	if err := checkOwner("/", owner); err != nil {
		t.Errorf("a folder of root's: %v", err)
	}
	if os.Geteuid() != 0 {
		return // nobody but root can write there at all
	}
	for _, args := range [][]string{{"backup", "--data-dir=" + dir}, {"restore", "--data-dir=" + filepath.Join(dir, "data")}} {
		if code, _, messages := runCommand(t, nil, args...); code != 1 || !strings.Contains(messages, want) || !strings.Contains(messages, "sudo -u '#65532'") {
			t.Errorf("%v ends with %d and says %q", args, code, messages)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	report(&out, "Restored", embedded.Restored{
		Header:  embedded.Header{Events: 3, Days: make([]embedded.DayHeader, 2), Snapshots: 1, Bytes: 5 << 20},
		Damaged: []string{"raw/2026-03-14.seg"},
	})
	want := "Restored 3 events of 2 days, 1 snapshots, as of 0001-01-01T00:00:00Z (5 MiB).\n" +
		"Warning: raw/2026-03-14.seg was damaged in the store that was backed up; some events of that day have lost their raw form.\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}
