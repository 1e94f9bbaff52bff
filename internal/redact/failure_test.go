package redact

import (
	"testing"
)

func TestFailureTakesTheValueOut(t *testing.T) {
	before := failures.Load()
	defer failures.Store(before)
	got := func() (out string) {
		defer takeOut(&out, Mark)
		panic("hunter2")
	}()
	if got != Mark || Failures() != before+1 {
		t.Errorf("after a failure it is %q, and %d failed", got, Failures()-before)
	}
}

// noFailure fails a test that made a rule panic, which the entry points hide.
func noFailure(t *testing.T) {
	t.Helper()
	if Failures() > 0 {
		t.Fatal("a rule has panicked")
	}
}
