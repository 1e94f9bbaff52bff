// Package audittest makes audit events as clusters send them, for benchmarks
// and for tests that need many. The same options make the same events.
package audittest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Options of New. The zero value of each field but Start is of use.
type Options struct {
	// Seed makes two generators differ. Clusters of one fleet need different ones.
	Seed uint64
	// Start is when the first request is received (default an hour ago, which
	// makes other events each time).
	Start time.Time
	// Rate is how many requests the cluster receives in a second of the events'
	// own time (default 1,000).
	Rate float64
	// Ordered has events arrive in the order in which their requests were
	// received. Otherwise most are late by milliseconds, some by minutes, and
	// watches end an hour after they began.
	Ordered bool
	// Bodies has writes carry the objects that they write, as at level
	// RequestResponse.
	Bodies bool
}

// Generator makes the events of one cluster. It is not safe for concurrent use.
type Generator struct {
	opts    Options
	random  *rand.Rand
	actors  *rand.Zipf // few do most
	objects *rand.Zipf
	clock   time.Time // when the next event arrives
}

const (
	people     = 40
	namespaces = 60
	accounts   = 400 // service accounts
	nodes      = 50
	names      = 5000 // objects of a resource in a namespace
)

// New returns a generator.
func New(o Options) *Generator {
	if o.Start.IsZero() {
		o.Start = time.Now().Add(-time.Hour)
	}
	if o.Rate <= 0 {
		o.Rate = 1000
	}
	random := rand.New(rand.NewPCG(o.Seed, 0x61756469742d6c6f))
	return &Generator{
		opts: o, random: random, clock: o.Start.UTC(),
		actors:  rand.NewZipf(random, 1.2, 2, accounts-1),
		objects: rand.NewZipf(random, 1.05, 8, names-1),
	}
}

// List returns the body of a POST: an EventList of the items.
func List(items ...[]byte) []byte {
	const head, tail = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[`, "]}\n"
	return slices.Concat([]byte(head), bytes.Join(items, []byte(",")), []byte(tail))
}

// Batch returns the body of a POST with the next n events.
func (g *Generator) Batch(n int) []byte {
	items := make([][]byte, n)
	for i := range items {
		items[i] = g.Item()
	}
	return List(items...)
}

// Now is when the next event arrives, in the events' own time.
func (g *Generator) Now() time.Time { return g.clock }

// Item returns the next event as a webhook's item: audit.k8s.io/v1 without kind
// and apiVersion, on one line, unlike every other by its auditID.
func (g *Generator) Item() []byte {
	g.clock = g.clock.Add(time.Duration(g.random.ExpFloat64() / g.opts.Rate * float64(time.Second)))
	request := g.request()
	received := g.clock
	if !g.opts.Ordered {
		received = received.Add(-g.late(request.verb))
	}
	return g.encode(&request, received)
}

// late is how long after its request was received an event arrives.
func (g *Generator) late(verb string) time.Duration {
	r := g.random
	if verb == "watch" {
		return time.Duration(r.Int64N(int64(time.Hour)))
	}
	switch n := r.IntN(100); {
	case n < 80:
		return time.Duration(r.ExpFloat64() * float64(50*time.Millisecond))
	case n < 96:
		return time.Duration(r.Int64N(int64(30 * time.Second)))
	}
	return time.Duration(r.Int64N(int64(5 * time.Minute)))
}

func (g *Generator) encode(q *request, received time.Time) []byte {
	const micro = "2006-01-02T15:04:05.000000Z"
	r := g.random
	took := time.Duration(r.ExpFloat64() * float64(8*time.Millisecond))
	if q.verb == "watch" {
		took = g.clock.Sub(received)
	}
	var id [16]byte
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	h := hex.EncodeToString(id[:])
	level := "Metadata"
	if len(q.body) > 0 {
		level = "RequestResponse"
	}
	b := make([]byte, 0, 1400+2*len(q.body))
	b = fmt.Appendf(b, `{"level":"%s","auditID":"%s-%s-%s-%s-%s","stage":"ResponseComplete","requestURI":"%s","verb":"%s","user":{"username":"%s"`,
		level, h[:8], h[8:12], h[12:16], h[16:20], h[20:], q.uri, q.verb, q.actor.name)
	b = append(b, q.actor.rest...)
	b = fmt.Appendf(b, `},"sourceIPs":["%s"],"userAgent":"%s"`, q.actor.ip, q.actor.agent)
	if q.resource != "" {
		b = append(b, `,"objectRef":{"resource":"`+q.resource+`"`...)
		for _, field := range [][2]string{
			{"namespace", q.namespace}, {"name", q.name}, {"apiGroup", q.group}, {"apiVersion", "v1"}, {"subresource", q.subresource},
		} {
			if field[1] != "" {
				b = append(b, `,"`+field[0]+`":"`+field[1]+`"`...)
			}
		}
		if q.verb == "update" {
			b = fmt.Appendf(b, `,"resourceVersion":"%d"`, 1_000_000+r.IntN(1<<28))
		}
		b = append(b, '}')
	}
	if q.code < 400 {
		b = fmt.Appendf(b, `,"responseStatus":{"metadata":{},"code":%d}`, q.code)
	} else {
		b = fmt.Appendf(b, `,"responseStatus":{"metadata":{},"status":"Failure","message":"%s \"%s\" is refused","reason":"%s","code":%d}`,
			q.resource, q.name, reasons[q.code], q.code)
	}
	if len(q.body) > 0 {
		b = append(append(b, `,"requestObject":`...), q.body...)
		b = append(append(b, `,"responseObject":`...), q.body...)
	}
	b = fmt.Appendf(b, `,"requestReceivedTimestamp":"%s","stageTimestamp":"%s"`, received.Format(micro), received.Add(took).Format(micro))
	return append(append(b, q.actor.annotations...), '}')
}

var reasons = map[int]string{401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 500: "InternalError"}
