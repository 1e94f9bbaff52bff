package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// A program takes each value of a facet as it stands into the filter, and gets
// the events that were counted.
func TestFacetValuesAreFilters(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	texts := audittest.OddTexts()
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	for i, text := range texts {
		batch.Events = append(batch.Events, audit.Event{
			ID: audit.ID{1, byte(i)}, Source: text, Cluster: text, Stage: audit.StageResponseComplete, OccurredAt: at, StageAt: at, Actor: text, Action: text,
			Namespace: text, ResourceName: text, Resource: text, UserAgent: text, Method: "GET", ResourceType: "application", StatusCode: 200, Client: audit.ClientCLI, Raw: []byte("{}"),
		})
	}
	if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != len(texts) {
		t.Fatalf("%+v, %v", got, err)
	}
	p := programsOver(t, s, s)
	for _, dimension := range []string{"actor", "action", "resource_name", "cluster", "namespace", "source", "resource", "user_agent"} {
		values := decode[facet](t, p.get(t, everywhere, list+"/facets/"+dimension+"?limit=500")).Values
		if len(values) != len(texts) {
			t.Errorf("%s has %d values, want %d", dimension, len(values), len(texts))
		}
		for _, v := range values {
			answer := p.get(t, everywhere, list+"?count=true&"+url.Values{dimension: {v.Value}}.Encode())
			if answer.Status != http.StatusOK {
				t.Errorf("%s=%.40q: status %d: %.300s", dimension, v.Value, answer.Status, answer.Body)
				continue
			}
			got := decode[page](t, answer)
			if int64(len(got.Items)) != v.Count {
				t.Errorf("%s=%.40q: %d events, counted were %d", dimension, v.Value, len(got.Items), v.Count)
			}
		}
	}
}
