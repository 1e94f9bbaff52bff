package maintenance

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress shows people how far something is: a bar on a terminal, otherwise a
// line now and then. The first part, of unknown length, is waited for. A
// terminal that is gone is no reason to fail.
type Progress struct {
	out   io.Writer
	unit  Unit
	bar   *progressbar.ProgressBar // nil without a terminal
	began time.Time

	mu          sync.Mutex
	waiting     string // what is waited for; empty once that is over
	doing       string
	done, total int64

	stop  chan struct{}
	ended sync.WaitGroup
}

// Unit is what is counted.
type Unit int

// Units.
const (
	Bytes Unit = iota
	Events
)

// NewProgress begins to show what is waited for, and then done.
func NewProgress(out io.Writer, terminal bool, waiting, doing string, unit Unit, every time.Duration) *Progress {
	p := &Progress{out: out, unit: unit, began: time.Now(), waiting: waiting, doing: doing, stop: make(chan struct{})}
	if terminal {
		p.bar = p.newBar(-1, waiting)
		return p
	}
	p.ended.Go(func() { p.writeLines(every) })
	return p
}

func (p *Progress) newBar(total int64, description string) *progressbar.ProgressBar {
	counted := progressbar.OptionShowCount()
	if p.unit == Bytes {
		counted = progressbar.OptionShowTotalBytes(true)
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(description), progressbar.OptionShowBytes(p.unit == Bytes),
		counted, progressbar.OptionUseIECUnits(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth(), progressbar.OptionSetRenderBlankState(true))
}

// Update says how much is done of how much.
func (p *Progress) Update(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.waiting != ""
	p.waiting, p.done, p.total = "", done, total
	if p.bar == nil {
		return
	}
	if first {
		_ = p.bar.Finish()
		p.bar = p.newBar(total, p.doing)
	}
	_ = p.bar.Set64(done)
}

// Say writes a line.
func (p *Progress) Say(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// End ends the showing.
func (p *Progress) End() {
	if p.bar != nil {
		_ = p.bar.Finish()
		return
	}
	close(p.stop)
	p.ended.Wait()
}

func (p *Progress) writeLines(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			fmt.Fprintln(p.out, p.line())
		}
	}
}

func (p *Progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting != "" {
		return fmt.Sprintf("%s (%s)", p.waiting, time.Since(p.began).Round(time.Second))
	}
	if p.unit == Events {
		return fmt.Sprintf("%s: %d of %d events", p.doing, p.done, p.total)
	}
	return fmt.Sprintf("%s: %d of %d MiB", p.doing, p.done>>20, p.total>>20)
}
