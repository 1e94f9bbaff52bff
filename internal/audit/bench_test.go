package audit

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

// BenchmarkDecode decodes bodies as an API server posts them: 400 events.
// cpu-ns/event is the time that the processor worked, the collector of garbage
// included; it hardly moves when others use the machine too.
func BenchmarkDecode(b *testing.B) {
	for _, bm := range []struct {
		name   string
		bodies bool
		verb   string // is written for each "verb":
	}{
		{"level=Metadata", false, `"verb":`},
		{"level=RequestResponse", true, `"verb":`},
		// With a member that nobody knows, no item is read in place.
		{"unknown", false, `"unheard":7,"verb":`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			const items = 400
			generator := audittest.New(audittest.Options{Seed: 1, Bodies: bm.bodies, Start: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)})
			bodies := make([][]byte, 16)
			var size int
			for i := range bodies {
				bodies[i] = bytes.ReplaceAll(generator.Batch(items), []byte(`"verb":`), []byte(bm.verb))
				size += len(bodies[i])
			}
			d := newDecoder(b)
			b.SetBytes(int64(size / len(bodies)))
			b.ReportAllocs()
			before := processorTime(b)
			for i := 0; b.Loop(); i++ {
				events := 0
				if err := d.Decode(bytes.NewReader(bodies[i%len(bodies)]), func(item Item) error {
					if item.Event != nil {
						events++
					}
					return nil
				}); err != nil || events != items {
					b.Fatalf("%d events, %v", events, err)
				}
			}
			events := float64(items * b.N)
			b.ReportMetric(float64(processorTime(b)-before)/events, "cpu-ns/event")
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkDecodeLarge decodes what strangers can have an API server send:
// events of 1 MB of &, of which it writes six bytes each.
func BenchmarkDecodeLarge(b *testing.B) {
	body := audittest.List([]byte(change(b, "?dryRun=All", "?"+ands(1_000_000))))
	d := newDecoder(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(bytes.NewReader(body), func(Item) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClassify derives the fields of events that are parsed.
func BenchmarkClassify(b *testing.B) {
	generator := audittest.New(audittest.Options{Seed: 1, Bodies: true, Start: time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)})
	dec := jsontext.NewDecoder(bytes.NewReader(generator.Batch(400)))
	var parsed []*parser
	for {
		if dec.PeekKind() == '{' && dec.StackDepth() == 2 {
			v, err := dec.ReadValue()
			if err != nil {
				b.Fatal(err)
			}
			p := newParser()
			if err := p.general(bytes.Clone(v)); err != nil {
				b.Fatal(err)
			}
			parsed = append(parsed, p)
			continue
		}
		if _, err := dec.ReadToken(); err != nil {
			break
		}
	}
	if len(parsed) != 400 {
		b.Fatalf("%d events", len(parsed))
	}
	c, err := NewClassifier(BuiltInResourceTypes(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		for _, p := range parsed {
			var e Event
			c.classify(p, &e)
		}
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(len(parsed)*b.N), "cpu-ns/event")
}
