package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	mostBars  = 120
	mostTicks = 7
	// lastTick is the share of the width where the last label may begin,
	// lastNarrowTick that on a phone.
	lastTick, lastNarrowTick = .93, .83
	// The plot within the drawing, in pixels. Across, everything is a share of
	// the width, so that the drawing fits any screen without being stretched.
	plotTop, plotBottom = 6, 90
	leastBar            = 2 // a bar of one event among many is still seen
)

const day = 24 * time.Hour

// grain is how much time one bar of a chart spans.
type grain struct {
	Store time.Duration // the width that the store counts by
	Bar   int64         // microseconds of a bar: as many of Store's as fit the chart
}

// manyDays are the days of one bar where bars of one day would be too many.
var manyDays = []int64{2, 3, 5, 7, 10, 14, 30, 60, 90, 180, 365}

// grainOf returns the finest grain with which a window has at most mostBars.
func grainOf(w query.Window) grain {
	bars := func(width int64) int64 {
		return floorDiv(w.To.UnixMicro()-1, width) - floorDiv(w.From.UnixMicro(), width) + 1
	}
	for _, width := range store.HistogramWidths {
		if bars(width.Microseconds()) <= mostBars {
			return grain{width, width.Microseconds()}
		}
	}
	days := day.Microseconds()
	for _, n := range manyDays {
		if bars(n*days) <= mostBars {
			return grain{day, n * days}
		}
	}
	for n := int64(730); ; n *= 2 {
		if bars(n*days) <= mostBars {
			return grain{day, n * days}
		}
	}
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// chart is the volume over the window, ready to be drawn.
type chart struct {
	Each     string // the time that a bar spans, in words
	Bars     []bar  // those that count something
	Peak     bar
	Lines    []gridline
	Ticks    []tick
	Window   query.Window
	Width    int64  // milliseconds of a bar
	Step     string // the ticks' distance: seconds, or months with an M
	Narrow   string // the list's address, to which from and to are added
	ZoomOut  string // where the window is no preset
	Unzoomed string
}

// bar counts the events of [From, To). Its links narrow the list to them.
type bar struct {
	From, To  time.Time
	Count     int64
	X, W      string // shares of the width
	Y, Height string
	Link      string
}

type gridline struct {
	Y, TextY string
	Count    int64
}

// LastTick and LastNarrowTick tell the script, which draws the ticks anew.
func (chart) LastTick() float64       { return lastTick }
func (chart) LastNarrowTick() float64 { return lastNarrowTick }

type tick struct {
	X, Label string
	AtEdge   bool // it has no room where the page is narrow
}

func newChart(a address, g grain, buckets []store.Bucket, now time.Time) chart {
	c := chart{Each: spanInWords(g.Bar), Window: a.Window, Width: g.Bar / 1000}
	rest := a.Filter
	rest.Range = query.TimeRange{}
	c.Narrow = listLink(join(rest.Encode(), encode(live(a)...)))
	if from := a.Filter.Range.From; !from.IsZero() {
		c.ZoomOut, c.Unzoomed = zoomOut(rest, a, now), a.withFilter(rest)
	}

	for _, b := range buckets {
		start := floorDiv(b.Start.UnixMicro(), g.Bar) * g.Bar
		from, to := time.UnixMicro(start).UTC(), time.UnixMicro(start+g.Bar).UTC()
		if from.Before(a.Window.From) {
			from = a.Window.From
		}
		if to.After(a.Window.To) {
			to = a.Window.To
		}
		if last := len(c.Bars) - 1; last >= 0 && c.Bars[last].From.Equal(from) {
			c.Bars[last].Count += b.Count
			continue
		}
		c.Bars = append(c.Bars, bar{From: from, To: to, Count: b.Count})
	}
	for _, b := range c.Bars {
		if b.Count > c.Peak.Count {
			c.Peak = b
		}
	}
	top := niceTop(c.Peak.Count)
	share := shareOf(a.Window)
	many := manyLinks(len(c.Bars), len(c.Narrow))
	for i := range c.Bars {
		b := &c.Bars[i]
		x, end := share(b.From), share(b.To)
		height := max(leastBar, float64(b.Count)/float64(top)*(plotBottom-plotTop))
		b.X, b.W = percent(x), percent((end-x)*.86)
		b.Y, b.Height = pixels(plotBottom-height), pixels(height)
		narrowed := rest
		narrowed.Range = query.TimeRange{From: b.From, To: b.To}
		if !many {
			b.Link = a.withFilter(narrowed)
		}
	}
	if top > 0 {
		c.Lines = append(c.Lines, gridline{pixels(plotTop), pixels(plotTop + 11), top})
		if top%2 == 0 {
			middle := float64(plotTop+plotBottom) / 2
			c.Lines = append(c.Lines, gridline{pixels(middle), pixels(middle + 11), top / 2})
		}
	}
	c.ticks(share)
	return c
}

// shareOf returns where a time is within a window: 0 at its start, 1 at its end.
func shareOf(w query.Window) func(time.Time) float64 {
	from, span := w.From.UnixMicro(), float64(w.To.UnixMicro()-w.From.UnixMicro())
	return func(t time.Time) float64 { return float64(t.UnixMicro()-from) / span }
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 3, 64) + "%" }

func pixels(y float64) string { return strconv.FormatFloat(y, 'f', 1, 64) }

// niceTop is the least round number that is no less than n.
func niceTop(n int64) int64 {
	if n <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(float64(n))))
	for _, m := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if top := int64(m * unit); top >= n {
			return top
		}
	}
	return int64(10 * unit)
}

// zoomOut returns the list of a window twice as long, as far as time has come.
func zoomOut(f query.Filter, a address, now time.Time) string {
	half := (a.Window.To.Unix() - a.Window.From.Unix() + 1) / 2
	from, to := time.Unix(a.Window.From.Unix()-half, 0).UTC(), time.Unix(a.Window.To.Unix()+half+1, 0).UTC()
	if to.After(now) {
		to = now.Truncate(time.Second).Add(time.Second)
	}
	if !to.After(a.Window.To) {
		to = a.Window.To // a window that lies in the future
	}
	// The first time that an address can hold.
	if from.Year() < 1970 {
		from = time.Unix(0, 0).UTC()
	}
	if to.Year() > 9999 {
		to = a.Window.To
	}
	f.Range = query.TimeRange{From: from, To: to}
	return a.withFilter(f)
}

var (
	tickSteps = []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 14 * day,
	}
	tickMonths = []int{1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12000}
)

// ticks puts ticks at round times, at most mostTicks of them.
func (c *chart) ticks(share func(time.Time) float64) {
	seconds := c.Window.To.Unix() - c.Window.From.Unix()
	for _, step := range tickSteps {
		if seconds/int64(step/time.Second) > mostTicks {
			continue
		}
		c.Step = strconv.FormatInt(int64(step/time.Second), 10)
		y, m, d := c.Window.From.Date()
		for t := time.Date(y, m, d, 0, 0, 0, 0, time.UTC); t.Before(c.Window.To); t = t.Add(step) {
			if !t.Before(c.Window.From) {
				c.tick(share(t), tickLabel(t, step))
			}
		}
		return
	}
	months := (c.Window.To.Year()-c.Window.From.Year())*12 + int(c.Window.To.Month()-c.Window.From.Month())
	for _, step := range tickMonths {
		if months/step > mostTicks {
			continue
		}
		c.Step = strconv.Itoa(step) + "M"
		year := c.Window.From.Year() - c.Window.From.Year()%max(1, step/12)
		for t := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); t.Before(c.Window.To); t = t.AddDate(0, step, 0) {
			if t.Before(c.Window.From) {
				continue
			}
			label := t.Format("Jan 2006")
			if step >= 12 {
				label = t.Format("2006")
			}
			c.tick(share(t), label)
		}
		return
	}
}

// tick adds a tick, but not where its label would stand beside the chart.
func (c *chart) tick(x float64, label string) {
	if x <= lastTick {
		c.Ticks = append(c.Ticks, tick{percent(x), label, x > lastNarrowTick})
	}
}

func tickLabel(t time.Time, step time.Duration) string {
	switch {
	case step < time.Minute:
		return t.Format("15:04:05")
	case step >= day || t.Hour() == 0 && t.Minute() == 0:
		return t.Format("Jan 2")
	}
	return t.Format("15:04")
}

// spanInWords writes the time that a bar spans.
func spanInWords(micros int64) string {
	for _, unit := range []struct {
		name  string
		micro int64
	}{{"day", day.Microseconds()}, {"hour", time.Hour.Microseconds()}, {"minute", time.Minute.Microseconds()}, {"second", time.Second.Microseconds()}} {
		if n := micros / unit.micro; n == 1 {
			return unit.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return ""
}
