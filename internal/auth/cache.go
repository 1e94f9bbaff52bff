package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// key stands for what an answer depends on: a token, or a user with all that
// the API server is told of it, and what is asked.
type key [sha256.Size]byte

// cache keeps answers, values and refusals, for a short time. Failures to get
// an answer are not kept. Who asks the same at once shares one answer.
type cache[T any] struct {
	now     func() time.Time
	last    time.Duration
	most    int
	refusal error

	asking  singleflight.Group
	mu      sync.Mutex
	entries map[key]entry[T]
}

type entry[T any] struct {
	value   T
	err     error
	expires time.Time
}

func newCache[T any](now func() time.Time, last time.Duration, most int, refusal error) *cache[T] {
	return &cache[T]{now: now, last: last, most: most, refusal: refusal, entries: map[key]entry[T]{}}
}

// get returns the answer that is kept for the key, else asks. An answer's age
// counts from when it was asked for, since it may be that old when it arrives.
//
// ask gets the last answer, if it is still there, and a context of its own:
// others may wait for the same answer when the caller that began to ask is
// gone. It must end by itself. A caller whose own context ends waits no longer.
func (c *cache[T]) get(ctx context.Context, k key, ask func(ctx context.Context, before T) (T, error)) (T, error) {
	if kept, ok := c.kept(k); ok {
		return kept.value, kept.err
	}
	answer := c.asking.DoChan(string(k[:]), func() (any, error) {
		// Another may have asked between the look and here.
		kept, ok := c.kept(k)
		if !ok {
			kept = c.ask(context.WithoutCancel(ctx), k, kept.value, ask)
		}
		return kept.value, kept.err
	})
	select {
	case got := <-answer:
		return got.Val.(T), got.Err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", ErrNoAnswer, ctx.Err())
	}
}

// kept returns what is kept for the key, and whether it still holds.
func (c *cache[T]) kept(k key) (entry[T], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.entries[k]
	return kept, ok && c.now().Before(kept.expires)
}

func (c *cache[T]) ask(ctx context.Context, k key, before T, ask func(context.Context, T) (T, error)) entry[T] {
	answer := entry[T]{expires: c.now().Add(c.last)}
	answer.value, answer.err = ask(ctx, before)
	if answer.err != nil && (c.refusal == nil || !errors.Is(answer.err, c.refusal)) {
		return answer
	}
	c.put(k, answer)
	return answer
}

// keep takes in a value that was asked for elsewhere, at a time.
func (c *cache[T]) keep(k key, value T, asked time.Time) {
	c.put(k, entry[T]{value: value, expires: asked.Add(c.last)})
}

func (c *cache[T]) put(k key, answer entry[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[k]; !ok {
		c.makeRoom()
	}
	c.entries[k] = answer
}

// makeRoom drops what is over, and any one answer if that is not enough.
func (c *cache[T]) makeRoom() {
	if len(c.entries) < c.most {
		return
	}
	now := c.now()
	for k, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, k)
		}
	}
	for k := range c.entries {
		if len(c.entries) < c.most {
			return
		}
		delete(c.entries, k)
	}
}
