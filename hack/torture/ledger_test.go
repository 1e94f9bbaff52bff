package torture

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// ledger is the oracle: what was sent to one store, and what of it was
// acknowledged.
type ledger struct {
	storage storage
	key     audit.Key         // the store's, of which identities depend
	sent    map[audit.ID]bool // whether it was acknowledged
	acked   int
	open    []*batch // not acknowledged when last looked at
	logIns  int64    // of people; the operator records each by itself
	// received are the items of what a hostile source had acknowledged: each
	// is stored or quarantined.
	received map[string]int
}

// newLedger makes the store, if it is not there, since only that knows its key.
func newLedger(t *testing.T, at storage) *ledger {
	t.Helper()
	s, err := at.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{storage: at, key: s.Key(), sent: map[audit.ID]bool{}, received: map[string]int{}}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *ledger) decoder(source string) audit.Decoder {
	return audit.Decoder{Source: source, Cluster: clusterName, Key: l.key, Classifier: classifier}
}

// note takes down what a source has sent. The decoder says under which ID an
// event is to be found.
func (l *ledger) note(t *testing.T, source string, batches []*batch) {
	t.Helper()
	// Of those of earlier rounds some were acknowledged since.
	batches = append(batches, l.open...)
	l.open = nil
	for _, b := range batches {
		if !b.acked {
			l.open = append(l.open, b)
		}
		for _, id := range l.identify(t, source, b.body) {
			if b.acked && !l.sent[id] {
				l.acked++
			}
			l.sent[id] = l.sent[id] || b.acked
		}
	}
}

// items takes down a body that was acknowledged, whatever is in it. An event
// far from today is quarantined, so one near that bound may be or not.
func (l *ledger) items(t *testing.T, source string, body []byte) {
	t.Helper()
	decoder := l.decoder(source)
	if err := decoder.Decode(bytes.NewReader(body), func(item audit.Item) error {
		l.received[source]++
		if e := item.Event; e != nil {
			age := time.Since(e.OccurredAt)
			l.sent[e.ID] = l.sent[e.ID] || age > -50*time.Minute && age < 29*24*time.Hour
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// classifier does not matter for identities.
var classifier = func() *audit.Classifier {
	c, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		panic(err)
	}
	return c
}()

func (l *ledger) identify(t *testing.T, source string, body []byte) []audit.ID {
	t.Helper()
	var ids []audit.ID
	decoder := l.decoder(source)
	if err := decoder.Decode(bytes.NewReader(body), func(item audit.Item) error {
		if item.Event != nil {
			ids = append(ids, item.Event.ID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// verdict is what a comparison found.
type verdict struct {
	stored, lost, twice, alien int
	problem                    error // what can't be read
}

// good holds each number against zero: fewer records of the operator's own than
// it counts make alien negative, and must not make up for a loss.
func (v verdict) good() bool { return v == verdict{stored: v.stored} }

func (v verdict) String() string {
	if v.problem != nil {
		return v.problem.Error()
	}
	return fmt.Sprintf("%d stored; %d acknowledged and lost, %d stored twice, %d never sent", v.stored, v.lost, v.twice, v.alien)
}

// ownRecords takes the operator's own records out of what was never sent.
func (l *ledger) ownRecords(t *testing.T, s contents, v *verdict) error {
	t.Helper()
	all, err := s.Sources(t.Context())
	if err != nil {
		return fmt.Errorf("read the sources: %w", err)
	}
	own := statsOf(all, audit.OwnSource).Stored
	v.alien -= int(own)
	if own != l.logIns {
		return fmt.Errorf("the operator has %d records of its own, want one for each of %d log-ins", own, l.logIns)
	}
	return nil
}

// compare reads all that the store holds.
func (l *ledger) compare(t *testing.T) verdict {
	t.Helper()
	var v verdict
	s, err := l.storage.open(t.Context())
	if err != nil {
		v.problem = fmt.Errorf("open the store: %w", err)
		return v
	}
	stored := make(map[audit.ID]bool, len(l.sent))
	v.problem = s.Verify(t.Context(), func(id audit.ID) error {
		v.stored++
		if stored[id] {
			v.twice++
		}
		if _, known := l.sent[id]; !known {
			v.alien++
		}
		stored[id] = true
		return nil
	})
	for id, acked := range l.sent {
		if acked && !stored[id] {
			v.lost++
		}
	}
	if v.problem == nil {
		v.problem = l.ownRecords(t, s, &v)
	}
	if err := s.Close(); err != nil && v.problem == nil {
		v.problem = fmt.Errorf("close the store: %w", err)
	}
	return v
}
