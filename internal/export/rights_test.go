package export_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
)

// answers returns a Still that gives some answers, one after the other, and the
// last one again and again; asked counts the questions.
func answers(asked *atomic.Int64, given ...error) export.Still {
	return func(context.Context, *http.Request, auth.User, query.Scope) error {
		n := int(asked.Add(1))
		return given[min(n, len(given))-1]
	}
}

var errSilent = fmt.Errorf("connection refused: %w", auth.ErrNoAnswer)

// askedWithin is how long a test waits for rights to be asked again.
const askedWithin = 20 * time.Second

// An answer that is being sent ends, and says that it is not whole, when its
// caller's rights have ended, or when nobody says whether they have.
func TestRightsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []error
		last    time.Duration
		whole   bool
	}{
		"taken away":        {[]error{nil, auth.ErrForbidden}, time.Minute, false},
		"signed out":        {[]error{nil, nil, auth.ErrUnauthenticated}, time.Minute, false},
		"no answer":         {[]error{nil, errSilent}, 200 * time.Millisecond, false},
		"no answer for now": {[]error{nil, errSilent, nil}, time.Minute, true},
		"all the time":      {[]error{nil}, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			w := newWorld(t, 2500, export.Options{Still: answers(&asked, tc.answers...), RightsEvery: 10 * time.Millisecond, RightsLast: tc.last})
			w.request.Limit = 2500
			w.faults.page = func(ctx context.Context, n int) error {
				ctx, cancel := context.WithTimeout(ctx, askedWithin)
				defer cancel()
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for n == 2 && (!tc.whole || asked.Load() < 4) {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-tick.C:
					}
				}
				return nil
			}
			_, body, err := w.get(t)
			outcome := w.awaitOutcome(t).annotations["audit.porter.run/outcome"]
			lines := strings.Count(body, "\n")
			broken := strings.HasSuffix(body, export.Failed+"\n") || strings.HasSuffix(body, export.Failed+"\r\n")
			if tc.whole {
				if err != nil || lines != 2501 || outcome != "sent" {
					t.Errorf("%d lines, %v, recorded as %q; want the whole", lines, err, outcome)
				}
				return
			}
			if err == nil || !broken || outcome != "forbidden" || lines != 1002 {
				t.Errorf("%d lines, ends with the mark %t, %v, recorded as %q; want the first page, the mark and a broken connection", lines, broken, err, outcome)
			}
		})
	}
}

// A first page that takes long is not sent to who lost the right meanwhile.
func TestRightsEndBeforeTheFirstByte(t *testing.T) {
	var asked atomic.Int64
	w := newWorld(t, 10, export.Options{Still: answers(&asked, auth.ErrForbidden), RightsEvery: 20 * time.Millisecond})
	w.faults.page = func(context.Context, int) error {
		<-time.After(40 * time.Millisecond)
		return nil
	}
	resp, body, _ := w.get(t)
	if resp.StatusCode == http.StatusOK || strings.Contains(body, "alice") || !errors.Is(w.refusal(), auth.ErrForbidden) {
		t.Errorf("status %d, body %q", resp.StatusCode, body)
	}
}

// A client that takes nothing does not keep its answer by that.
func TestRightsEndWhileWriting(t *testing.T) {
	var asked atomic.Int64
	w := newWorld(t, 60_000, export.Options{Still: answers(&asked, nil, auth.ErrForbidden), RightsEvery: 500 * time.Millisecond, StallTimeout: time.Minute})
	w.request.Limit = 60_000
	resp := w.open(t, t.Context(), http.MethodGet)
	defer resp.Body.Close()
	if got := w.awaitOutcome(t); got.annotations["audit.porter.run/outcome"] != "forbidden" {
		t.Errorf("recorded %v", got.annotations)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the answer looks whole")
	}
}

// So does a snapshot's download.
func TestRightsEndInADownload(t *testing.T) {
	var asked atomic.Int64
	w := newWorld(t, 1, export.Options{})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	w.downloads(t, func(p []byte) (int, error) {
		if time.Since(began) > askedWithin {
			return 0, io.EOF
		}
		<-tick.C
		p[0] = 'x'
		return 1, nil
	}, export.Options{Still: answers(&asked, nil, auth.ErrForbidden), RightsEvery: 10 * time.Millisecond})
	if _, _, err := w.getAt(t, "/records"); err == nil {
		t.Error("the download looks whole")
	}
	if got := w.awaitOutcome(t); got.annotations["audit.porter.run/outcome"] != "forbidden" {
		t.Errorf("recorded %v", got.annotations)
	}
}
