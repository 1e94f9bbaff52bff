package embedded

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
)

// TestTornLogIsTold cuts the end of the log off, with 200 events that were
// acknowledged. DuckDB says nothing, so the store must.
func TestTornLogIsTold(t *testing.T) {
	base := t.TempDir()
	const wal = DatabaseFile + ".wal"
	s := mustOpen(t, Options{Dir: base})
	m := newMaker(1) // all in one day, hence in one segment
	if _, err := s.Append(t.Context(), m.batch(50)); err != nil {
		t.Fatal(err)
	}
	day := s.writer.sizesDay(t)
	first := s.writer.sizes[day]
	before, err := os.Stat(filepath.Join(base, wal))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), m.batch(200)); err != nil {
		t.Fatal(err)
	}
	lost := s.writer.sizes[day] - first
	crashed := copyStore(t, base)
	closed(t, s)
	info, err := os.Stat(filepath.Join(crashed, wal))
	if err != nil {
		t.Fatal(err)
	}
	name := dayStart(day).Format(time.DateOnly)
	numbers := `"day"="` + name + `" "bytes"=` + strconv.FormatInt(lost, 10) + ` "events"=200`
	for what, tt := range map[string]struct {
		size   int64 // of the log
		line   string
		events float64
	}{
		"whole":                   {info.Size(), "", 0},
		"37 bytes cut off":        {info.Size() - 37, `they may have been acknowledged, if the disk lost the end of the log" ` + "\"error\"=\"" + errLogTorn.Error() + `" ` + numbers, 200},
		"lacks the entry's end":   {info.Size() - int64(len(walCommit)), numbers, 200},
		"crash before the commit": {before.Size(), `unless the log was moved away" ` + numbers, 0},
	} {
		t.Run(what, func(t *testing.T) {
			dir := copyStore(t, crashed)
			if err := os.Truncate(filepath.Join(dir, wal), tt.size); err != nil {
				t.Fatal(err)
			}
			var lines []string
			log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
			registry := prometheus.NewPedanticRegistry()
			s := mustOpen(t, Options{Dir: dir, Log: log, Metrics: NewMetrics(registry)})
			defer closed(t, s)
			told := strings.Join(lines, "\n")
			if !strings.Contains(told, tt.line) || tt.line == "" && told != "" {
				t.Errorf("the log says %q, want %q", told, tt.line)
			}
			got := gauges(t, registry)
			bytes := float64(0)
			if tt.events > 0 {
				bytes = float64(lost)
			}
			if got["torn_log_events"] != tt.events || got["torn_log_bytes"] != bytes {
				t.Errorf("metrics tell of %v events and %v bytes, want %v and %v", got["torn_log_events"], got["torn_log_bytes"], tt.events, bytes)
			}
		})
	}
}

// TestCountEvents reads no more of a segment than it is to.
func TestCountEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.seg")
	first := packFrame(nil, []byte(`{"a":1}{"b":2}`))
	segment := packFrame(slices.Clone(first), []byte(`{"c":3}`))
	if err := os.WriteFile(path, append(segment, "ASG1 torn"...), 0o600); err != nil {
		t.Fatal(err)
	}
	end := int64(len(first))
	for _, tt := range []struct{ from, within, want int64 }{
		{0, 0, 0}, {0, 1, 2}, {0, end, 2}, {0, end + 1, 3}, {0, countedTail, 3}, {end, countedTail, 1}, {1, countedTail, 0},
	} {
		if got := countEvents(path, tt.from, tt.within); got != tt.want {
			t.Errorf("%d events within %d bytes from %d on, want %d", got, tt.within, tt.from, tt.want)
		}
	}
}

// sizesDay returns the one day that there is.
func (w *writer) sizesDay(t *testing.T) int {
	t.Helper()
	for day := range w.sizes {
		if len(w.sizes) == 1 {
			return day
		}
	}
	t.Fatalf("there are %d days, want one", len(w.sizes))
	return 0
}
