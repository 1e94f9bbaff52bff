package httpapi

import (
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
)

func FuzzPosition(f *testing.F) {
	f.Add(encodePosition(store.SnapshotPosition{TakenAt: now, ID: strings.Repeat("0a", 16)}))
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		if p, ok := decodePosition(s); ok && encodePosition(p) != s {
			t.Errorf("%q decodes to what is written as %q", s, encodePosition(p))
		}
	})
}

func TestPosition(t *testing.T) {
	want := store.SnapshotPosition{TakenAt: now, ID: strings.Repeat("0a", 16)}
	if got, ok := decodePosition(encodePosition(want)); !ok || got != want {
		t.Errorf("got %+v, %t", got, ok)
	}
}
