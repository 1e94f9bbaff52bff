package cli

import (
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
	// At whatever hour, it ends at noon the day before yesterday.
	keep := 36*time.Hour + now.Sub(now.Truncate(24*time.Hour))
	args := []string{"retain", "--data-dir=" + dir, "--event-retention=" + keep.String()}
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
