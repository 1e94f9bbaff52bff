package redact

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

// BenchmarkClean redacts what events hold that have nothing to take out: their
// addresses, user agents, annotations, extra and answers, and their bodies.
func BenchmarkClean(b *testing.B) {
	for _, bm := range []struct {
		name   string
		bodies bool
	}{{"level=Metadata", false}, {"level=RequestResponse", true}} {
		b.Run(bm.name, func(b *testing.B) {
			generator := audittest.New(audittest.Options{Seed: 1, Bodies: bm.bodies, Start: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)})
			type event struct {
				RequestURI, UserAgent         string
				Annotations                   map[string]string
				User                          struct{ Extra map[string][]string }
				RequestObject, ResponseObject json.RawMessage
			}
			events := make([]event, 1000)
			texts := make([][]string, len(events))
			for i := range events {
				e := &events[i]
				if err := json.Unmarshal(generator.Item(), e); err != nil {
					b.Fatal(err)
				}
				texts[i] = append(texts[i], e.UserAgent)
				for _, text := range e.Annotations {
					texts[i] = append(texts[i], text)
				}
				for _, list := range e.User.Extra {
					texts[i] = append(texts[i], list...)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := &events[i%len(events)]
				URI(e.RequestURI)
				for _, text := range texts[i%len(events)] {
					Text(text)
				}
				Policy{}.Body([]byte(e.RequestObject), Other)
				Policy{}.Body([]byte(e.ResponseObject), Other)
			}
		})
	}
}
