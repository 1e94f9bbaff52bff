package maintenance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// CopyStore copies between the manager's store and another, as the order says,
// and returns what became of it.
type CopyStore func(ctx context.Context, order json.RawMessage, progress func(done, total int64)) (summary any, err error)

// step is a line of the answer to an order. The last one has a summary, an
// error, or both.
type step struct {
	Done    int64           `json:"done"`
	Total   int64           `json:"total"`
	Summary json.RawMessage `json:"summary,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// tellEvery is how often the one who ordered hears of the progress, and the
// manager learns that nobody listens any more.
const tellEvery = 500 * time.Millisecond

// maxOrder bounds what is read of an order.
const maxOrder = 64 << 10

// errCutOff is how a copy ends before its end.
var errCutOff = errors.New("the copy was cut off, because the manager or the command ended")

// copyServer carries out orders, one at a time.
type copyServer struct {
	run     CopyStore
	log     logr.Logger
	running sync.Mutex
}

func (c *copyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	order, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !c.running.TryLock() {
		http.Error(w, "another copy between stores is running", http.StatusServiceUnavailable)
		return
	}
	began := time.Now()
	c.log.Info("A copy between stores begins")
	t := &teller{out: &patient{w, http.NewResponseController(w)}}
	w.Header().Set("Content-Type", "application/x-ndjson")
	summary, err := c.copy(r.Context(), order, t.progress)
	if err != nil && r.Context().Err() != nil {
		err = errCutOff
	}
	if err := t.end(summary, err); err != nil {
		c.log.Error(err, "Nobody heard how a copy between stores ended")
	}
	if err != nil {
		c.log.Error(err, "A copy between stores did not end")
		return
	}
	c.log.Info("A copy between stores ended", "took", time.Since(began).String())
}

// copy lets go of the lock before the answer's last line is written, since who
// reads that line may order the next copy at once.
func (c *copyServer) copy(ctx context.Context, order json.RawMessage, progress func(done, total int64)) (any, error) {
	defer c.running.Unlock()
	return c.run(ctx, order, progress)
}

// teller writes steps.
type teller struct {
	out  *patient
	last time.Time
	step step
}

// progress fails to reach only who does not listen any more; the server then
// ends the request's context.
func (t *teller) progress(done, total int64) {
	t.step.Done, t.step.Total = done, total
	if time.Since(t.last) < tellEvery {
		return
	}
	t.last = time.Now()
	_ = t.tell()
}

func (t *teller) end(summary any, failure error) error {
	encoded, err := json.Marshal(summary)
	if err != nil {
		return err
	}
	t.step.Summary = encoded
	if failure != nil {
		t.step.Error = failure.Error()
	}
	return t.tell()
}

func (t *teller) tell() error {
	line, err := json.Marshal(t.step)
	if err != nil {
		return err
	}
	if _, err := t.out.Write(append(line, '\n')); err != nil {
		return err
	}
	return t.out.control.Flush()
}

// RequestCopy has the manager of a data directory carry out an order. It fills
// in the summary also where the copy fails half-way. When ctx ends, the copy does.
func RequestCopy(ctx context.Context, dataDir string, order, summary any, progress func(done, total int64)) error {
	body, err := json.Marshal(order)
	if err != nil {
		return err
	}
	answer, err := request(ctx, dataDir, http.MethodPost, "/copy", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	steps := json.NewDecoder(answer.Body)
	for {
		var s step
		if err := steps.Decode(&s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%w: %w", errCutOff, err)
		}
		progress(s.Done, s.Total)
		if s.Summary == nil {
			continue
		}
		if err := json.Unmarshal(s.Summary, summary); err != nil {
			return err
		}
		if s.Error != "" {
			return errors.New(s.Error)
		}
		return nil
	}
}
