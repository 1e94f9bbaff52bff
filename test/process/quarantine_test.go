package process

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/quarantine"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
)

// quarantineItems puts items into a store, more than a page has.
func quarantineItems(t *testing.T, s store.Store) {
	t.Helper()
	items := []audit.Quarantined{{Source: "edge", Reason: "first \x1b[31m\"of\"\nall", Size: 3, Redacted: []byte(`{"a":1}`)}}
	for i := range store.MaxQuarantinePage + 20 {
		items = append(items, audit.Quarantined{Source: "control-plane-1", Reason: fmt.Sprintf("reason-%d.", i), Size: 1})
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "edge", ReceivedAt: time.Now(), Quarantined: items}); err != nil {
		t.Fatal(err)
	}
}

// The command lists the same from a folder that nobody uses, from a manager
// that runs, and from a database.
func TestQuarantineCommand(t *testing.T) {
	dir := t.TempDir()
	s, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	quarantineItems(t, s)
	lists := func(t *testing.T, args ...string) {
		t.Helper()
		args = append([]string{"quarantine"}, args...)
		listed := process(t, nil, 0, append(args, "--limit=1000")...)
		out := listed.out
		if lines := strings.Count(string(out), "\n"); lines != store.MaxQuarantinePage+22 {
			t.Fatalf("it has %d lines: %s%s", lines, out, listed.err)
		}
		if !strings.Contains(string(out), `first \x1b[31m"of"\nall`) || !strings.Contains(string(out), "reason-0.") || strings.Contains(string(out), "There are more") {
			t.Errorf("it says %s", out)
		}
		if out := process(t, nil, 0, append(args, "--source=edge")...).out; strings.Count(string(out), "\n") != 2 || strings.Contains(string(out), "reason-") {
			t.Errorf("of one source it says %s", out)
		}
		if out := process(t, nil, 0, append(args, "--source=nobody")...).out; string(out) != "Nothing is in quarantine.\n" {
			t.Errorf("of nobody it says %s", out)
		}
		out = process(t, nil, 0, append(args, "--limit=101", "-o", "json")...).out
		var got struct {
			Items []quarantine.Item `json:"items"`
			More  bool              `json:"more"`
		}
		if err := json.Unmarshal(out, &got); err != nil || len(got.Items) != 101 || !got.More || got.Items[0].Reason != fmt.Sprintf("reason-%d.", store.MaxQuarantinePage+19) {
			t.Errorf("as JSON it says %s, %v", out, err)
		}
		if out := process(t, nil, 0, append(args, "--source=edge", "-o", "json")...).out; json.Unmarshal(out, &got) != nil || len(got.Items) != 1 || got.Items[0].Content != `{"a":1}` || got.More {
			t.Errorf("as JSON it says %s", out)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("a manager that runs", func(t *testing.T) {
		m := startAPIServer(t).startManagerOn(t, "default", dir)
		lists(t, "--data-dir="+dir)
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a folder", func(t *testing.T) { lists(t, "--data-dir="+dir) })
	t.Run("a database", func(t *testing.T) {
		url := migrated(t)
		s, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		quarantineItems(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		lists(t, "--store="+url)
	})
}
