package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

// TestRetainCommand shows the days that are past the retention and drops them
// only when it is told to.
func TestRetainCommand(t *testing.T) {
	dir, now := t.TempDir(), time.Now().UTC().Truncate(time.Microsecond)
	fill := func() int {
		t.Helper()
		s, err := embedded.Open(t.Context(), embedded.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		batch := store.Batch{Source: "s", ReceivedAt: now}
		for n := range 6 {
			at := now.Add(-time.Duration(n) * 24 * time.Hour)
			batch.Events = append(batch.Events, audit.Event{ID: audit.ID{byte(n)}, Source: "s", OccurredAt: at, StageAt: at, Raw: []byte(`{"kind":"Event"}`)})
		}
		got, err := s.Append(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return got.Stored
	}
	fill()
	args := []string{"retain", "--data-dir=" + dir, "--event-retention=49h"}
	code, out, messages := runCommand(t, nil, args...)
	old := now.AddDate(0, 0, -5).Format(time.DateOnly)
	if code != 0 || !strings.Contains(string(out), old) || !strings.Contains(string(out), "Past the retention: 3 days,") {
		t.Errorf("retain ends with %d and says\n%s%s", code, out, messages)
	}
	if stored := fill(); stored != 0 {
		t.Errorf("%d events were dropped without a yes", stored)
	}
	if code, out, messages := runCommand(t, nil, append(args, "--yes")...); code != 0 || !strings.Contains(string(out), "Dropped: 3 days,") {
		t.Errorf("retain --yes ends with %d and says\n%s%s", code, out, messages)
	}
	if stored := fill(); stored != 3 {
		t.Errorf("%d events were dropped, want 3", stored)
	}
	for _, wrong := range []string{"--store=mysql://x", "--event-retention=1m"} {
		if code, _, messages := runCommand(t, nil, "retain", wrong); code != 2 || !strings.Contains(messages, strings.Split(wrong, "=")[0]) {
			t.Errorf("retain %s ends with %d and says %s", wrong, code, messages)
		}
	}
}

// TestServerClock reads the clock of the API server from its answers.
func TestServerClock(t *testing.T) {
	c := &serverClock{}
	if _, ok := c.now(); ok {
		t.Error("the clock is known before any answer")
	}
	for date, known := range map[string]bool{"Sat, 14 Mar 2026 15:09:26 GMT": true, "yesterday": false, "": false} {
		c := &serverClock{}
		c.read(&http.Response{Header: http.Header{"Date": {date}}})
		if got, ok := c.now(); ok != known || ok && got.Sub(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)).Abs() > time.Minute {
			t.Errorf("%q: %s, %t", date, got, ok)
		}
	}
	c.date, c.at = time.Now(), time.Now().Add(-maxWitnessAge)
	if _, ok := c.now(); ok {
		t.Error("the clock is known by an answer that is too old")
	}
}

// TestEarlierClock: certificates are not dated by the clock that is ahead.
func TestEarlierClock(t *testing.T) {
	for name, tt := range map[string]struct{ server, want time.Duration }{
		"the operator's is ahead":   {-time.Hour, -time.Hour},
		"the API server's is ahead": {time.Hour, 0},
	} {
		c := &serverClock{date: time.Now().Add(tt.server), at: time.Now()}
		if got := time.Until(c.earlier()); (got - tt.want).Abs() > time.Minute {
			t.Errorf("%s: %s from the operator's, want %s", name, got, tt.want)
		}
	}
	if got := time.Until((&serverClock{}).earlier()); got.Abs() > time.Minute {
		t.Errorf("where the API server's is not known: %s from the operator's", got)
	}
}
