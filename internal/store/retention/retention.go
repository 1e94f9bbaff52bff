// Package retention decides which days are dropped. It is sceptical: a clock
// that is wrong must not cost an event.
package retention

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	// MaxDays is how many days are dropped within an hour without a person: one
	// a day is usual. What is more, after a long stop or where the retention was
	// shortened, waits to be confirmed.
	MaxDays = 2
	// hour is that in which MaxDays are dropped.
	hour = time.Hour
	// checkEvery is how often the keeper looks.
	checkEvery = 10 * time.Minute
	day        = 24 * time.Hour
)

// Bounds of a retention.
const (
	Min = time.Hour
	Max = 87600 * time.Hour
)

var errOutOfBounds = errors.New("give from 1h to 87600h")

// Validate says what is allowed where a retention is not.
func Validate(retention time.Duration) error {
	if retention < Min || retention > Max {
		return errOutOfBounds
	}
	return nil
}

// ErrWaits means that days are past the retention that a person must confirm.
var ErrWaits = errors.New("more days are past the retention than are dropped without being asked")

// Days is what retention needs of a store.
type Days interface {
	StoredDays(ctx context.Context) ([]store.StoredDay, error)
	JudgeClock() error
	Retain(ctx context.Context, before time.Time) ([]time.Time, error)
}

// Options of New. Retention and Days are required.
type Options struct {
	Days      Days
	Retention time.Duration
	Now       func() time.Time // default time.Now
	// Elapsed is the time since some moment by a clock that nobody sets (default:
	// the process's own).
	Elapsed func() time.Duration
	// Metrics gets what the keeper tells; nil for nobody.
	Metrics prometheus.Registerer
	Log     logr.Logger
}

// Keeper drops days that are past the retention.
type Keeper struct {
	opts    Options
	waiting prometheus.Gauge
	doubted prometheus.GaugeFunc

	mu      sync.Mutex // held by each pass
	dropped []time.Duration
	said    string
}

// New returns a keeper.
func New(opts Options) *Keeper {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if began := time.Now(); opts.Elapsed == nil {
		opts.Elapsed = func() time.Duration { return time.Since(began) }
	}
	k := &Keeper{
		opts: opts,
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "audit_retention_waiting", Help: "Days past the retention that wait for manager retain --yes.",
		}),
		doubted: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "audit_clock_doubted", Help: "1 while the operator's clock is in doubt, so that no day is dropped and nothing quarantined for its time.",
		}, func() float64 {
			if opts.Days.JudgeClock() != nil {
				return 1
			}
			return 0
		}),
	}
	if opts.Metrics != nil {
		opts.Metrics.MustRegister(k.waiting, k.doubted)
	}
	return k
}

// Plan says what would be dropped.
type Plan struct {
	// Before is the end of the last of the days, or earlier than any.
	Before time.Time         `json:"before"`
	Days   []store.StoredDay `json:"days"`
	Bytes  int64             `json:"bytes"`
	// Doubt is why the operator's clock is in doubt; empty where it is not.
	Doubt string `json:"doubt,omitempty"`
}

// Plan returns the days that are past the retention by the operator's clock,
// never today.
func (k *Keeper) Plan(ctx context.Context) (Plan, error) {
	days, err := k.opts.Days.StoredDays(ctx)
	if err != nil {
		return Plan{}, err
	}
	now := k.opts.Now().UTC()
	p := Plan{Before: now.Add(-k.opts.Retention)}
	if err := k.opts.Days.JudgeClock(); err != nil {
		p.Doubt = err.Error()
	}
	for _, d := range days {
		if end := d.Day.Add(day); !end.After(p.Before) && !end.After(now) {
			p.Days = append(p.Days, d)
			p.Bytes += d.Bytes
		}
	}
	return p, nil
}

// Retain returns the days that are past the retention, and drops them where a
// person has confirmed it.
func (k *Keeper) Retain(ctx context.Context, confirmed bool) (Plan, error) {
	p, err := k.Plan(ctx)
	if err == nil && confirmed {
		_, err = k.Confirmed(ctx, p)
	}
	return p, err
}

// Confirmed drops all days of a plan that a person has seen.
func (k *Keeper) Confirmed(ctx context.Context, p Plan) ([]time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(p.Days) == 0 {
		return nil, nil
	}
	last := p.Days[len(p.Days)-1].Day.Add(day)
	dropped, err := k.opts.Days.Retain(ctx, last)
	for _, d := range dropped {
		k.opts.Log.Info("Dropped a day that was confirmed", "day", d.Format(time.DateOnly))
	}
	k.waiting.Set(0)
	return dropped, err
}

// Run looks now and every ten minutes, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		if err := k.Pass(ctx); err != nil && ctx.Err() == nil {
			k.say(err)
		} else if err == nil {
			k.said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// say logs what keeps days from being dropped, once.
func (k *Keeper) say(err error) {
	if text := err.Error(); text != k.said {
		k.said = text
		k.opts.Log.Error(err, "Old days are not dropped; looked at again in ten minutes")
	}
}

// Pass drops what is past the retention, if the clock is not in doubt, and no
// more than MaxDays in an hour.
func (k *Keeper) Pass(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.Plan(ctx)
	if err != nil {
		return err
	}
	k.waiting.Set(0)
	switch recent := k.recent(); {
	case p.Doubt != "":
		return fmt.Errorf("the operator's clock is in doubt: %s", p.Doubt)
	case len(p.Days) > MaxDays:
		k.waiting.Set(float64(len(p.Days)))
		return fmt.Errorf("%w: %d days until %s; see them with manager retain, and drop them with manager retain --yes", ErrWaits,
			len(p.Days), p.Days[len(p.Days)-1].Day.Format(time.DateOnly))
	case len(p.Days) > 0 && recent+len(p.Days) > MaxDays:
		return nil // later in this hour
	}
	dropped, err := k.opts.Days.Retain(ctx, p.Before)
	for _, d := range dropped {
		k.dropped = append(k.dropped, k.opts.Elapsed())
		k.opts.Log.Info("Dropped a day", "day", d.Format(time.DateOnly))
	}
	return err
}

// recent is how many days were dropped in the last hour.
func (k *Keeper) recent() int {
	var recent []time.Duration
	for _, at := range k.dropped {
		if k.opts.Elapsed()-at < hour {
			recent = append(recent, at)
		}
	}
	k.dropped = recent
	return len(recent)
}
