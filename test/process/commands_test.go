package process

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackUpRunning does what the documentation tells an administrator: backs
// up a running manager by its own binary, and runs another on what is restored.
func TestBackUpRunning(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	token := api.connect(t, m, "saved")
	post := func(m *operator, body string) {
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

type processed struct {
	out []byte
	err string
}

// process runs a command as a process of its own, which ends with the code.
func process(t *testing.T, in []byte, code int, args ...string) processed {
	t.Helper()
	got, p := start(t, in, args...)
	if got != code {
		t.Fatalf("%v ends with %d, want %d:\n%s", args, got, code, p.err)
	}
	return p
}

// start runs a command as a process of its own and returns its exit code, -1
// where it did not start.
func start(t *testing.T, in []byte, args ...string) (code int, p processed) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		return -1, processed{err: err.Error()}
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), asManager+"=yes")
	cmd.Stdin = bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the code says it
	return cmd.ProcessState.ExitCode(), processed{stdout.Bytes(), stderr.String()}
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
