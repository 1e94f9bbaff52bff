// Package embeddedtest opens real stores for the tests of other packages.
package embeddedtest

import (
	"testing"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

// Open opens a store in a folder of the test's own, unless opts names one, and
// closes it with the test.
func Open(t testing.TB, opts embedded.Options) *embedded.Store {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := embedded.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
