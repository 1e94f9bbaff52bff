package httpapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// A search says how many events it could not see all of.
func TestSearchedInPart(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for i := range 3 {
		at := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
		batch.Events = append(batch.Events, audit.Event{
			ID: audit.ID{byte(i + 1)}, Stage: audit.StageResponseComplete, OccurredAt: at, StageAt: at, Path: "/api/v1/pods", Actor: "alice", Truncated: i > 0,
		})
	}
	if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	p := programsOver(t, s, s)
	for question, want := range map[string]any{
		"": nil, "?search=+": nil, "?search=zebra": 2.0, "?search=PODS": 2.0, "?search=pods&truncated=false": 0.0, "?search=pods&actor=bob": 0.0,
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(p.get(t, everywhere, list+question).Body), &got); err != nil || got["searchedInPart"] != want {
			t.Errorf("%q: searchedInPart is %v, %v, want %v", question, got["searchedInPart"], err, want)
		}
	}
}
