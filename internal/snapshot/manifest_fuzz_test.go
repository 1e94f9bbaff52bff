package snapshot

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/store"
)

// A manifest is read as it was written, and its digest covers every field: two
// that differ in anything differ in their digests.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{}`), []byte(`{"id":"00000000000000000000000000000001","owner":{"kind":"AuditLogQuery","namespace":"a","name":"b","uid":"c"},"matched":1}`))
	f.Add([]byte(`{"takenAt":"2026-11-20T12:00:00.000001Z","countsByResourceType":{"application":3}}`), []byte(`{"takenAt":"2026-11-20T12:00:00.000001Z","countsByStatusClass":{"application":3}}`))
	f.Add([]byte(`{"owner":{"kind":"a","name":"bc"}}`), []byte(`{"owner":{"kind":"ab","name":"c"}}`))
	f.Add([]byte(`{"matched":9007199254740993}`), []byte(`{"matched":9007199254740992}`))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		a, errA := readManifest(one)
		b, errB := readManifest(other)
		if errA != nil || errB != nil || !countable(a) || !countable(b) {
			return
		}
		digestA, errA := manifestDigest(a)
		digestB, errB := manifestDigest(b)
		if errA != nil || errB != nil {
			return
		}
		// ManifestDigest is all that it does not cover.
		a.ManifestDigest, b.ManifestDigest = "", ""
		same := cmp.Equal(a, b, cmpopts.EquateEmpty(), cmp.Comparer(time.Time.Equal))
		if same && digestA != digestB {
			// The same instant in another zone is another text; the store keeps UTC.
			return
		}
		if !same && digestA == digestB {
			t.Errorf("%+v and %+v have one digest", a, b)
		}
		written, err := json.Marshal(a)
		if err != nil {
			return
		}
		again, err := readManifest(written)
		if err != nil {
			t.Fatalf("%s is not read again: %v", written, err)
		}
		if digest, err := manifestDigest(again); err != nil || digest != digestA {
			t.Errorf("%s has another digest when it is read again: %v", written, err)
		}
	})
}

// readManifest reads one as the embedded store does.
func readManifest(data []byte) (m store.Manifest, err error) {
	return m, json.Unmarshal(data, &m)
}

// countable reports whether canonical JSON, whose numbers are doubles, holds
// the counts exactly. Nobody has so many events.
func countable(m store.Manifest) bool {
	counts := slices.Concat([]int64{m.Matched, m.Stored}, slices.Collect(maps.Values(m.CountsByType)), slices.Collect(maps.Values(m.CountsByStatusClass)))
	return !slices.ContainsFunc(counts, func(n int64) bool { return n > 1<<53 || n < -1<<53 })
}
