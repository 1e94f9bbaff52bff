package intake

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// A delivery that is noted: when it came, and how far its newest event was ahead
// of that.
type noted struct {
	source    string
	at, ahead time.Duration
}

// TestSkews: of a source's deliveries the one that came in time says how far its
// clock is ahead, for one window.
func TestSkews(t *testing.T) {
	const half = store.SkewWindow / 2
	for name, tt := range map[string]struct {
		deliveries []noted
		at         time.Duration
		want       map[string]time.Duration
	}{
		"ahead":               {[]noted{{"s", 0, time.Minute}}, 0, map[string]time.Duration{"s": time.Minute}},
		"behind":              {[]noted{{"s", 0, -time.Minute}}, 0, map[string]time.Duration{"s": -time.Minute}},
		"one comes late":      {[]noted{{"s", 0, time.Second}, {"s", 1, -time.Hour}}, 1, map[string]time.Duration{"s": time.Second}},
		"a better one comes":  {[]noted{{"s", 0, -time.Hour}, {"s", 1, time.Second}}, 1, map[string]time.Duration{"s": time.Second}},
		"of the half before":  {[]noted{{"s", 0, time.Second}, {"s", half, -time.Hour}}, half, map[string]time.Duration{"s": time.Second}},
		"corrected meanwhile": {[]noted{{"s", 0, time.Hour}, {"s", half, 0}, {"s", 2 * half, 0}}, 2 * half, map[string]time.Duration{"s": 0}},
		"silent for less":     {[]noted{{"s", 0, time.Second}}, store.SkewWindow - 1, map[string]time.Duration{"s": time.Second}},
		"silent":              {[]noted{{"s", 0, time.Second}}, store.SkewWindow, map[string]time.Duration{}},
		"again after silence": {[]noted{{"s", 0, time.Hour}, {"s", store.SkewWindow, 0}}, store.SkewWindow, map[string]time.Duration{"s": 0}},
		"each by itself":      {[]noted{{"s", 0, time.Hour}, {"r", 0, 0}}, 0, map[string]time.Duration{"s": time.Hour, "r": 0}},
		"own records":         {[]noted{{audit.OwnSource, 0, time.Hour}}, 0, map[string]time.Duration{}},
	} {
		var skews Skews
		for _, d := range tt.deliveries {
			came := start.Add(d.at)
			skews.Note(&store.Batch{Source: d.source, ReceivedAt: came, Events: []audit.Event{event(came, came.Add(d.ahead)), event(came, came.Add(d.ahead-time.Hour))}})
		}
		if diff := cmp.Diff(tt.want, skews.All(start.Add(tt.at))); diff != "" {
			t.Errorf("%s: wanted (-), measured (+):\n%s", name, diff)
		}
	}
}
