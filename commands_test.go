package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
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
	code = command(t.Context(), args, streams{in: bytes.NewReader(in), out: &stdout, err: &stderr})
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

// TestBackUpRunning does what the documentation tells an administrator: backs
// up a running manager by its own binary, and runs another on what is restored.
func TestBackUpRunning(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	token := api.connect(t, m, "saved")
	post := func(m *manager, body string) {
		t.Helper()
		status, _, err := request(t, http.MethodPost, m.deliveries("saved"), token, strings.NewReader(body))
		if err != nil || status != http.StatusOK {
			t.Fatalf("a delivery gets %d, %v", status, err)
		}
	}
	before := delivery("before")
	post(m, before)
	backup := process(t, nil, 0, "backup", "--data-dir="+m.dataDir)
	if !strings.Contains(backup.err, "Backed up 1 events of 1 days, 0 snapshots, as of ") || strings.Contains(backup.err, "No manager") {
		t.Errorf("the command says %q", backup.err)
	}
	post(m, delivery("after"))
	if got := tarTest(t, backup.out); !strings.HasPrefix(got, "backup.json events.duckdb raw/") || !strings.HasSuffix(got, ".seg SHA256SUMS") {
		t.Errorf("the archive holds %s", got)
	}
	process(t, backup.out, 0, "restore", "--verify-only")
	process(t, backup.out[:len(backup.out)-1], 1, "restore", "--verify-only")
	process(t, backup.out, 1, "restore", "--data-dir="+m.dataDir)

	dir := filepath.Join(t.TempDir(), "data")
	if got := process(t, backup.out, 0, "restore", "--data-dir="+dir); !strings.Contains(got.err, "Restored 1 events of 1 days, 0 snapshots, as of ") {
		t.Errorf("the command says %q", got.err)
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	// To the next manager, a delivery that is tried again is known.
	again := api.startManagerOn(t, m.namespace, dir)
	post(again, before)
	post(again, delivery("later"))
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	if got := storedIDs(t, dir); got != "later before" {
		t.Errorf("the store holds %q", got)
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

type processed struct {
	out []byte
	err string
}

// process runs a command as a process of its own.
func process(t *testing.T, in []byte, code int, args ...string) processed {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), asManager+"=yes")
	cmd.Stdin = bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the code says it
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v ends with %d, want %d:\n%s", args, got, code, &stderr)
	}
	return processed{stdout.Bytes(), stderr.String()}
}

// tarTest lists an archive by the tar and sha256sum of the system, as anyone
// may who has no manager at hand.
func tarTest(t *testing.T, archive []byte) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "tar -xvf - && sha256sum --check --strict --quiet SHA256SUMS")
	cmd.Dir = t.TempDir()
	cmd.Stdin = bytes.NewReader(archive)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
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
