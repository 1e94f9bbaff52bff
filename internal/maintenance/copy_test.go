package maintenance

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type order struct{ From, To string }

type outcome struct{ Copied int }

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	ask := func(ctx context.Context, progress func(done, total int64)) (outcome, error) {
		var got outcome
		err := RequestCopy(ctx, dir, order{From: "a", To: "b"}, &got, progress)
		return got, err
	}
	quiet := func(int64, int64) {}
	if _, err := ask(t.Context(), quiet); !errors.Is(err, ErrNoManager) {
		t.Errorf("without a manager: %v", err)
	}
	failure := errors.New("the database is full")
	var fails atomic.Bool
	var told []int64
	stop := served(t, dir, Commands{Copy: func(_ context.Context, message json.RawMessage, progress func(done, total int64)) (any, error) {
		var o order
		if err := json.Unmarshal(message, &o); err != nil || o != (order{From: "a", To: "b"}) {
			t.Errorf("the order is %q, %v", message, err)
		}
		for n := range int64(3) {
			progress(n, 2)
		}
		if fails.Load() {
			return outcome{1}, failure
		}
		return outcome{2}, nil
	}})
	got, err := ask(t.Context(), func(done, total int64) {
		if total != 2 {
			t.Errorf("%d of %d are done", done, total)
		}
		told = append(told, done)
	})
	if err != nil || got != (outcome{2}) || !slices.IsSorted(told) || told[0] != 0 || told[len(told)-1] != 2 {
		t.Errorf("RequestCopy = %+v, %v; progress %v", got, err, told)
	}
	fails.Store(true)
	if got, err := ask(t.Context(), quiet); err == nil || err.Error() != failure.Error() || got != (outcome{1}) {
		t.Errorf("a copy that fails half-way = %+v, %v", got, err)
	}
	stop()
}

// TestCopyEnds ends copies: the one that it was ordered by goes, and the
// manager ends. Meanwhile there is no other.
func TestCopyEnds(t *testing.T) {
	dir := t.TempDir()
	begun := make(chan struct{})
	ended := make(chan error, 1)
	stop := served(t, dir, Commands{Copy: func(ctx context.Context, _ json.RawMessage, progress func(done, total int64)) (any, error) {
		progress(1, 2)
		begun <- struct{}{}
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		ended <- ctx.Err()
		return nil, ctx.Err()
	}})
	var got outcome
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		if err := RequestCopy(t.Context(), dir, order{}, &got, func(int64, int64) {}); err == nil || !strings.Contains(err.Error(), "another copy between stores is running") {
			t.Errorf("a second copy = %v", err)
		}
		cancel()
	}()
	if err := RequestCopy(ctx, dir, order{}, &got, func(int64, int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("a copy whose command ends = %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the copy itself ends with %v", err)
	}
	go func() { <-begun; stop() }()
	err := RequestCopy(t.Context(), dir, order{}, &got, func(int64, int64) {})
	for err != nil && strings.Contains(err.Error(), "another copy") { // the first may still be ending
		err = RequestCopy(t.Context(), dir, order{}, &got, func(int64, int64) {})
	}
	if err == nil || !strings.Contains(err.Error(), "the copy was cut off") {
		t.Errorf("a copy whose manager ends = %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the copy itself ends with %v", err)
	}
}

// TestProgressOfEvents reads what is told of events.
func TestProgressOfEvents(t *testing.T) {
	var out lockedBuffer
	p := NewProgress(&out, false, "Connecting", "Copying", Events, time.Millisecond)
	p.Update(5, 12_000_000)
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "Copying: 5 of 12000000 events\n"); {
		if time.Now().After(deadline) {
			t.Fatalf("the lines are %q", out.String())
		}
	}
	p.End()
	out.Reset()
	p = NewProgress(&out, true, "Connecting", "Copying", Events, time.Hour)
	p.Update(5, 12)
	p.Update(6, 12)
	p.End()
	if got := out.String(); !strings.Contains(got, "Copying") || strings.Contains(got, "iB") {
		t.Errorf("a terminal is shown %q", got)
	}
}
