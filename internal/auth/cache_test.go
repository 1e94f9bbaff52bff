package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestCacheIsBounded(t *testing.T) {
	now := time.Now()
	c := newCache[int](func() time.Time { return now }, time.Second, 8, ErrForbidden)
	for i := range 100 {
		var k key
		binary.BigEndian.PutUint64(k[:], uint64(i))
		if v, err := c.get(t.Context(), k, func(context.Context, int) (int, error) { return i, nil }); v != i || err != nil {
			t.Fatalf("get = %d, %v; want %d", v, err, i)
		}
		if len(c.entries) > 8 {
			t.Fatalf("%d answers are kept, want at most 8", len(c.entries))
		}
	}
	now = now.Add(time.Second)
	if _, err := c.get(t.Context(), key{1, 2}, func(context.Context, int) (int, error) { return 0, nil }); err != nil || len(c.entries) != 1 {
		t.Errorf("%d answers are kept after all were over, want 1; %v", len(c.entries), err)
	}
}

// Who asks the same at once shares one answer, and whoever leaves, even the
// first, takes it from nobody.
func TestCacheAsksOnce(t *testing.T) {
	c := newCache[int](time.Now, time.Minute, 8, ErrForbidden)
	var asked atomic.Int32
	asking, answer := make(chan struct{}), make(chan struct{})
	ask := func(ctx context.Context, _ int) (int, error) {
		if asked.Add(1) == 1 {
			close(asking)
		}
		<-answer
		return 7, ctx.Err()
	}
	first, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := c.get(first, key{1}, ask)
		left <- err
	}()
	<-asking
	var others sync.WaitGroup
	for range 50 {
		others.Go(func() {
			if v, err := c.get(t.Context(), key{1}, ask); v != 7 || err != nil {
				t.Errorf("get = %d, %v; want 7", v, err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the first, whose context ended, got %v", err)
	}
	close(answer)
	others.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// A failure is nobody's answer, and the next call asks again, with the answer
// that was known before.
func TestCacheKeepsNoFailure(t *testing.T) {
	now := time.Now()
	c := newCache[int](func() time.Time { return now }, time.Second, 8, ErrForbidden)
	for i, step := range []struct {
		after        time.Duration
		value        int
		err          error
		before, want int
		wantErr      error
	}{
		{0, 1, nil, 0, 1, nil},
		{time.Second, 0, ErrNoAnswer, 1, 0, ErrNoAnswer},
		{0, 2, nil, 1, 2, nil},
		{0, 3, nil, -1, 2, nil}, // not asked
		{time.Second, 4, ErrForbidden, 2, 4, ErrForbidden},
		{0, 5, nil, -1, 4, ErrForbidden}, // not asked
	} {
		now = now.Add(step.after)
		v, err := c.get(t.Context(), key{}, func(_ context.Context, before int) (int, error) {
			if before != step.before {
				t.Errorf("step %d: known before: %d, want %d", i, before, step.before)
			}
			return step.value, step.err
		})
		if v != step.want || !errors.Is(err, step.wantErr) {
			t.Errorf("step %d: get = %d, %v; want %d, %v", i, v, err, step.want, step.wantErr)
		}
	}
}
