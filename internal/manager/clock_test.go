package manager

import (
	"net/http"
	"testing"
	"time"
)

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
