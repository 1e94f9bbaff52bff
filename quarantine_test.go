package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/maintenance"
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
		code, out, messages := runCommand(t, nil, append(args, "--limit=1000")...)
		if lines := strings.Count(string(out), "\n"); code != 0 || lines != store.MaxQuarantinePage+22 {
			t.Fatalf("it ends with %d and %d lines: %s%s", code, lines, out, messages)
		}
		if !strings.Contains(string(out), `first \x1b[31m"of"\nall`) || !strings.Contains(string(out), "reason-0.") || strings.Contains(string(out), "There are more") {
			t.Errorf("it says %s", out)
		}
		if _, out, _ := runCommand(t, nil, append(args, "--source=edge")...); strings.Count(string(out), "\n") != 2 || strings.Contains(string(out), "reason-") {
			t.Errorf("of one source it says %s", out)
		}
		if _, out, _ := runCommand(t, nil, append(args, "--source=nobody")...); string(out) != "Nothing is in quarantine.\n" {
			t.Errorf("of nobody it says %s", out)
		}
		_, out, _ = runCommand(t, nil, append(args, "--limit=101", "-o", "json")...)
		var got struct {
			Items []quarantine.Item `json:"items"`
			More  bool              `json:"more"`
		}
		if err := json.Unmarshal(out, &got); err != nil || len(got.Items) != 101 || !got.More || got.Items[0].Reason != fmt.Sprintf("reason-%d.", store.MaxQuarantinePage+19) {
			t.Errorf("as JSON it says %s, %v", out, err)
		}
		if _, out, _ := runCommand(t, nil, append(args, "--source=edge", "-o", "json")...); json.Unmarshal(out, &got) != nil || len(got.Items) != 1 || got.Items[0].Content != `{"a":1}` || got.More {
			t.Errorf("as JSON it says %s", out)
		}
	}
	t.Run("a manager that runs", func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); serveCommands(ctx, dir, s, nil, logr.Discard()) }()
		defer func() { end(); <-ended }()
		for t.Context().Err() == nil {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", maintenance.SocketOf(dir))
			if err == nil {
				_ = conn.Close()
				break
			}
		}
		lists(t, "--data-dir="+dir)
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
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

// What is asked the wrong way is refused, with what is allowed.
func TestQuarantineCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--limit=0"}, 2, "from 1 to 10000"}, {[]string{"--limit=10001"}, 2, "from 1 to 10000"}, {[]string{"--output=xml"}, 2, "neither table nor json"},
		{[]string{"--store=mysql://x"}, 2, "--store"}, {[]string{"more"}, 2, "unexpected arguments"},
		{[]string{"--data-dir=" + t.TempDir()}, 1, "there is no store"},
	} {
		code, out, messages := runCommand(t, nil, append([]string{"quarantine"}, tt.args...)...)
		if code != tt.code || len(out) > 0 || !strings.Contains(messages, tt.want) {
			t.Errorf("%v ends with %d, %q and %q; want %d and %q", tt.args, code, out, messages, tt.code, tt.want)
		}
	}
}
