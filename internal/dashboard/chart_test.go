package dashboard

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

var chartNow = time.Date(2026, 11, 26, 16, 30, 0, 123000, time.UTC)

func TestGrainFitsEveryWindow(t *testing.T) {
	for _, test := range []struct {
		span time.Duration
		want grain
	}{
		{time.Microsecond, grain{time.Second, 1e6}},
		{time.Minute, grain{time.Second, 1e6}},
		{time.Hour, grain{time.Minute, 60e6}},
		{24 * time.Hour, grain{15 * time.Minute, 900e6}},
		{7 * 24 * time.Hour, grain{3 * time.Hour, 10800e6}},
		{30 * 24 * time.Hour, grain{12 * time.Hour, 43200e6}},
		{365 * 24 * time.Hour, grain{24 * time.Hour, 5 * 86400e6}},
		{36500 * 24 * time.Hour, grain{24 * time.Hour, 365 * 86400e6}},
	} {
		w := query.Window{From: chartNow.Add(-test.span), To: chartNow}
		if got := grainOf(w); got != test.want {
			t.Errorf("%s: %v, want %v", test.span, got, test.want)
		}
	}
	// The longest that an address can hold.
	ages := query.Window{From: time.Unix(0, 0).UTC(), To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	if got := grainOf(ages); floorDiv(ages.To.UnixMicro()-1, got.Bar)-floorDiv(ages.From.UnixMicro(), got.Bar) >= mostBars {
		t.Errorf("all of time has too many bars of %d µs", got.Bar)
	}
}

func TestChartMergesBucketsAndKeepsTheWindow(t *testing.T) {
	w := query.Window{From: chartNow.Add(-365 * day), To: chartNow}
	a := address{Window: w, Filter: query.Filter{Terms: query.Terms{Methods: []string{"GET"}}, Range: query.TimeRange{From: w.From, To: w.To}}}
	var buckets []store.Bucket
	total := int64(0)
	for at := w.From.Truncate(day); at.Before(w.To); at = at.Add(day) {
		buckets = append(buckets, store.Bucket{Start: at, Count: int64(at.YearDay())})
		total += int64(at.YearDay())
	}
	c := newChart(a, grainOf(w), buckets, chartNow)
	sum, end := int64(0), w.From
	for _, b := range c.Bars {
		sum += b.Count
		if !b.From.Equal(end) || !b.From.Before(b.To) {
			t.Errorf("a bar spans %s to %s after %s", b.From, b.To, end)
		}
		end = b.To
		want := query.Filter{Terms: a.Filter.Terms, Range: query.TimeRange{From: b.From, To: b.To}}
		if b.Link != listLink(want.Encode()) {
			t.Errorf("a bar leads to %s, want %s", b.Link, listLink(want.Encode()))
		}
	}
	if sum != total || !end.Equal(w.To) || len(c.Bars) > mostBars {
		t.Errorf("%d bars count %d up to %s, want %d up to %s", len(c.Bars), sum, end, total, w.To)
	}
	if c.Each != "5 days" || c.Unzoomed != "/security/audit-logs?method=GET" || c.ZoomOut == "" {
		t.Errorf("each %q, unzoomed %q, out %q", c.Each, c.Unzoomed, c.ZoomOut)
	}
}

func TestTicksAreFewAndRound(t *testing.T) {
	for _, test := range []struct {
		span time.Duration
		want []string
	}{
		{6 * time.Minute, []string{"16:24", "16:25", "16:26", "16:27", "16:28", "16:29", "16:30"}},
		{24 * time.Hour, []string{"18:00", "Nov 26", "06:00", "12:00"}},
		{3 * day, []string{"Nov 24", "12:00", "Nov 25", "12:00", "Nov 26"}},
		{365 * day, []string{"Jan 2026", "Mar 2026", "May 2026", "Jul 2026", "Sep 2026", "Nov 2026"}},
	} {
		w := query.Window{From: chartNow.Add(-test.span), To: chartNow}
		var got []string
		for _, tick := range newChart(address{Window: w}, grainOf(w), nil, chartNow).Ticks {
			got = append(got, tick.Label)
		}
		if len(got) > mostTicks+1 || test.span != 6*time.Minute && cmp.Diff(test.want, got) != "" {
			t.Errorf("%s: %q, want %q", test.span, got, test.want)
		}
	}
}

func TestNiceTop(t *testing.T) {
	for n, want := range map[int64]int64{0: 0, 1: 1, 7: 8, 9: 10, 10: 10, 11: 20, 479: 500, 999: 1000, 1e12 + 1: 2e12} {
		if got := niceTop(n); got != want {
			t.Errorf("niceTop(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestZoomOutStaysInTime(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z", "from=2026-11-20T09%3A00%3A00Z&to=2026-11-20T13%3A00%3A01Z"},
		{"2026-11-26T15:00:00Z", "2026-11-26T16:00:00Z", "from=2026-11-26T14%3A30%3A00Z&to=2026-11-26T16%3A30%3A01Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:10Z", "from=1970-01-01T00%3A00%3A00Z&to=1970-01-01T00%3A00%3A16Z"},
	} {
		a := address{}
		for field, text := range map[*time.Time]string{&a.Window.From: test.from, &a.Window.To: test.to} {
			if err := field.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := zoomOut(query.Filter{}, a, chartNow), fmt.Sprintf("/security/audit-logs?%s", test.want); got != want {
			t.Errorf("%s to %s: %s, want %s", test.from, test.to, got, want)
		}
	}
}
