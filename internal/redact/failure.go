package redact

import "sync/atomic"

var failures atomic.Int64

// Failures returns how many values were taken out whole because a rule failed
// on them. Each is a fault of this package.
func Failures() int64 { return failures.Load() }

// takeOut, deferred, has a value taken out whole when a rule panics on it: what
// a client wrote must not cost the event, nor those of others beside it.
func takeOut[T any](out *T, mark T) {
	if recover() != nil {
		failures.Add(1)
		*out = mark
	}
}
