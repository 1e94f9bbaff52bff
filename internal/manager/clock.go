package manager

import (
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// maxWitnessAge is how long the API server's clock is known after an answer.
const maxWitnessAge = 15 * time.Minute

// serverClock is the API server's clock, as its answers tell it.
type serverClock struct {
	mu   sync.Mutex
	date time.Time // of the last answer
	at   time.Time // when it came, by the clock that nobody sets
}

// watch reads the clock from every answer that a client of config gets.
func (c *serverClock) watch(config *rest.Config) {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &dated{next, c} })
}

// now implements intake.Witness.
func (c *serverClock) now() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := time.Since(c.at)
	return c.date.Add(since), !c.date.IsZero() && since < maxWitnessAge
}

// earlier returns the API server's time or the operator's own, whichever is
// earlier: by a clock that is ahead an authority would end before its time, and
// what it signs would not be believed until the others get there.
func (c *serverClock) earlier() time.Time {
	own := time.Now()
	if server, known := c.now(); known && server.Before(own) {
		return server
	}
	return own
}

func (c *serverClock) read(answer *http.Response) {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.date, c.at = date, time.Now()
}

// dated reads the dates of answers.
type dated struct {
	http.RoundTripper
	clock *serverClock
}

// RoundTrip implements http.RoundTripper.
func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := d.RoundTripper.RoundTrip(r)
	if err == nil {
		d.clock.read(answer)
	}
	return answer, err
}

// WrappedRoundTripper is for client-go, which looks for what is below.
func (d *dated) WrappedRoundTripper() http.RoundTripper { return d.RoundTripper }
