package process

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// migrated is the URL of a new database with the schema.
func migrated(t *testing.T) string {
	t.Helper()
	url := postgrestest.Shared(t).Database(t)
	if err := postgres.Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	return url
}

// TestCopyRunning does what the handbook tells who moves to PostgreSQL: copies
// while the manager runs, stops it, copies what came in between from its folder,
// compares, and goes back.
func TestCopyRunning(t *testing.T) {
	api := startAPIServer(t)
	m := api.startManager(t)
	token := api.connect(t, m, "moved")
	post := func(ids ...string) {
		t.Helper()
		status, _, err := request(t, http.MethodPost, m.deliveries("moved"), token, strings.NewReader(delivery(ids...)))
		if err != nil || status != http.StatusOK {
			t.Fatalf("a delivery gets %d, %v", status, err)
		}
	}
	url := migrated(t)
	post("first")
	post("second")
	there := []string{"copy", "--data-dir=" + m.dataDir, "--from=embedded", "--to=-"}
	says(t, process(t, []byte(url+"\n"), 0, there...), "all         2       2       0", "Sources whose totals are in the target: 1 of 1.")
	post("third")
	says(t, process(t, []byte(url), 1, append(there, "--verify-only")...), "DIFFERS", "Warning: 1 events are not in the target.", "Error: the target does not hold all")
	says(t, process(t, []byte(url), 0, there...), "all         3       1       2")
	if strings.Contains(m.log.String(), postgrestest.Password) {
		t.Error("the manager's log holds the password")
	}
	post("fourth")
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	says(t, process(t, []byte(url), 0, there...), "all         4       1       3", "No manager uses "+m.dataDir)
	says(t, process(t, nil, 0, "copy", "--data-dir="+m.dataDir, "--from=embedded", "--to="+url, "--verify-only"), "all         4       0       4")

	dir := filepath.Join(t.TempDir(), "back")
	says(t, process(t, nil, 0, "copy", "--from="+url, "--to=embedded", "--data-dir="+dir), "all         4       4       0")
	if got := storedIDs(t, dir); got != "fourth third second first" {
		t.Errorf("the store holds %q", got)
	}
	// To a manager that runs.
	back := api.startManagerOn(t, m.namespace, t.TempDir())
	says(t, process(t, nil, 0, "copy", "--from="+url, "--to=embedded", "--data-dir="+back.dataDir), "all         4       4       0")
	if !strings.Contains(back.log.String(), "A copy between stores ended") {
		t.Error("the manager did not do the copying")
	}
}

// says checks what a command has said.
func says(t *testing.T, p processed, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(string(p.out)+p.err, text) {
			t.Errorf("the command does not say %q:\n%s%s", text, p.out, p.err)
		}
	}
	if strings.Contains(string(p.out)+p.err, postgrestest.Password) {
		t.Error("the command tells the password")
	}
}

// TestCopyKilled kills a copy in the middle, again and again, until one ends.
func TestCopyKilled(t *testing.T) {
	dir, url := t.TempDir(), migrated(t)
	fill(t, dir, 20_000)
	args := []string{"copy", "--from=embedded", "--data-dir=" + dir, "--to=" + url}
	for _, at := range []int{1, 8_000} {
		killAt(t, url, at, args...)
	}
	got := process(t, nil, 0, args...)
	says(t, got, "all         20000   ")
	for _, line := range strings.Split(string(got.out), "\n") {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "all" && (fields[2] == "0" || fields[3] == "0") {
			t.Errorf("nothing was there before, or nothing was left: %s", line)
		}
	}
}

// fill makes a store of n events.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{Dir: dir})
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	decoder := audit.Decoder{Source: "s", Cluster: "prod", Classifier: classifier}
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	if err := decoder.Decode(strings.NewReader(string(audittest.New(audittest.Options{Start: time.Now().AddDate(0, 0, -3), Rate: 0.2}).Batch(n))), func(item audit.Item) error {
		batch.Events = append(batch.Events, *item.Event)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// killAt runs a command as a process and kills it once the database holds so
// many events.
func killAt(t *testing.T, url string, events int, args ...string) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), asManager+"=yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for deadline := time.Now().Add(time.Minute); ; {
		var n int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM audit_rows").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n >= events {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events arrived, want %d", n, events)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the copy was faster than its end")
	}
}
