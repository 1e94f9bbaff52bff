package embedded

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A tail that can look at a part of what is new only finds all of it in the
// end, also when one day has more than it can look at and others have some.
func TestTailOfMoreThanItLooksAt(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	s := mustOpen(t, Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	defer closed(t, s)
	s.tailRows = 8
	all := query.ClusterWide()
	first, err := s.Tail(t.Context(), all, store.TailRequest{Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	batch := store.Batch{Source: "s", ReceivedAt: now}
	for i := range 60 {
		at := now.Add(time.Duration(i) * time.Microsecond)
		if i < 40 {
			at = at.AddDate(0, 0, -1-i%2)
		}
		e := audit.Event{ID: audit.ID{byte(i + 1)}, Source: "s", Cluster: "c", Stage: audit.StageResponseComplete, Level: "Metadata",
			OccurredAt: at, StageAt: at, Actor: "a", ActorKind: audit.ActorUser, Method: "POST", Verb: "create", Raw: fmt.Appendf(nil, `{"n":%d}`, i)}
		e.RawSHA256 = sha256.Sum256(e.Raw)
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	seen := map[audit.ID]int{}
	for calls, tail := 0, first; calls == 0 || tail.More; calls++ {
		if calls == 200 {
			t.Fatalf("after %d calls there is more, and %d of %d events were found", calls, len(seen), len(batch.Events))
		}
		if tail, err = s.Tail(t.Context(), all, store.TailRequest{After: tail.Next, Limit: 5}); err != nil {
			t.Fatal(err)
		}
		for i := range tail.Events {
			seen[tail.Events[i].ID]++
		}
	}
	for i := range batch.Events {
		if n := seen[batch.Events[i].ID]; n != 1 {
			t.Errorf("event %d was found %d times", i, n)
		}
	}
}
