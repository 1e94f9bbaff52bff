package auth

import (
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// cache keeps answers, values and refusals, for a short time. Failures to get
// an answer are not kept.
type cache[T any] struct {
	now     func() time.Time
	last    time.Duration
	most    int
	refusal error

	mu      sync.Mutex
	entries map[[sha256.Size]byte]entry[T]
}

type entry[T any] struct {
	value   T
	err     error
	expires time.Time
}

func newCache[T any](now func() time.Time, last time.Duration, most int, refusal error) *cache[T] {
	return &cache[T]{now: now, last: last, most: most, refusal: refusal, entries: map[[sha256.Size]byte]entry[T]{}}
}

// get returns the answer that is kept for the key, else asks. An answer's age
// counts from when it was asked for, since it may be that old when it arrives.
func (c *cache[T]) get(key [sha256.Size]byte, ask func() (T, error)) (T, error) {
	asked := c.now()
	c.mu.Lock()
	kept, ok := c.entries[key]
	c.mu.Unlock()
	if ok && asked.Before(kept.expires) {
		return kept.value, kept.err
	}
	value, err := ask()
	if err != nil && !errors.Is(err, c.refusal) {
		return value, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[key]; !ok {
		c.makeRoom()
	}
	c.entries[key] = entry[T]{value: value, err: err, expires: asked.Add(c.last)}
	return value, err
}

// makeRoom drops what is over, and any one answer if that is not enough.
func (c *cache[T]) makeRoom() {
	if len(c.entries) < c.most {
		return
	}
	now := c.now()
	for key, e := range c.entries {
		if !now.Before(e.expires) {
			delete(c.entries, key)
		}
	}
	for key := range c.entries {
		if len(c.entries) < c.most {
			return
		}
		delete(c.entries, key)
	}
}
