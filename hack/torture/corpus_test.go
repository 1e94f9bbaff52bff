package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/audit/audittest"
)

// corpus makes hostile bodies of good ones. The same seed makes the same.
type corpus struct {
	chance *rand.Rand
	items  [][]byte
}

func newCorpus(t *testing.T, seed uint64) *corpus {
	t.Helper()
	c := &corpus{chance: rand.New(rand.NewPCG(seed, 0))}
	recorded, err := os.ReadFile(filepath.Join(root, "internal", "audit", "testdata", "recorded.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	c.items = slices.Collect(func(yield func([]byte) bool) {
		for line := range bytes.Lines(recorded) {
			if !yield(bytes.TrimSpace(line)) {
				return
			}
		}
	})
	for _, bodies := range []bool{false, true} {
		events := audittest.New(audittest.Options{Seed: seed, Start: time.Now().Add(-time.Hour), Bodies: bodies})
		for range 200 {
			c.items = append(c.items, events.Item())
		}
	}
	return c
}

func (c *corpus) item() []byte { return c.items[c.chance.IntN(len(c.items))] }

// next returns a list of few events with one to three things wrong.
func (c *corpus) next() []byte {
	items := make([][]byte, 1+c.chance.IntN(4))
	for i := range items {
		items[i] = c.item()
	}
	body := audittest.List(items...)
	for range 1 + c.chance.IntN(3) {
		body = mutations[c.chance.IntN(len(mutations))](c, body)
	}
	return body
}

// at is a place in a body.
func (c *corpus) at(body []byte) int { return c.chance.IntN(len(body) + 1) }

// insert puts bytes anywhere, more often than not where a value may stand.
func (c *corpus) insert(body []byte, what string) []byte {
	at := c.at(body)
	if colon := bytes.IndexByte(body[at:], ':'); colon >= 0 && c.chance.IntN(3) > 0 {
		at += colon + 1
	}
	return slices.Concat(body[:at], []byte(what), body[at:])
}

// replace puts a value in the place of another.
func (c *corpus) replace(body []byte, value string) []byte {
	at := c.at(body)
	colon := bytes.IndexByte(body[at:], ':')
	if colon < 0 {
		return c.insert(body, value)
	}
	at += colon + 1
	end := bytes.IndexAny(body[at:], ",}]")
	return slices.Concat(body[:at], []byte(value), body[at+max(end, 0):])
}

func (c *corpus) one(of ...string) string { return of[c.chance.IntN(len(of))] }

var mutations = []func(*corpus, []byte) []byte{
	func(c *corpus, b []byte) []byte { // flipped bits
		b = bytes.Clone(b)
		for range 1 + c.chance.IntN(8) {
			b[c.chance.IntN(len(b))] ^= 1 << c.chance.IntN(8)
		}
		return append(b, ' ')
	},
	func(c *corpus, b []byte) []byte { return append(bytes.Clone(b[:c.at(b)]), '"') }, // cut
	func(c *corpus, b []byte) []byte { // spliced
		other := c.item()
		return slices.Concat(b[:c.at(b)], other[c.at(other):], b[c.at(b):])
	},
	func(c *corpus, b []byte) []byte { // numbers
		return c.replace(b, c.one("1e999999", "-0", "0x1", "01", "1.", "NaN", "Infinity", "18446744073709551616", strings.Repeat("9", 5000), "1e-400", "-"))
	},
	func(c *corpus, b []byte) []byte { // nesting
		open, closed := "[", "]"
		if c.chance.IntN(2) == 0 {
			open, closed = `{"a":`, "}"
		}
		deep := 1 + c.chance.IntN(20_000)
		return c.replace(b, strings.Repeat(open, deep)+"1"+strings.Repeat(closed, deep-c.chance.IntN(2)))
	},
	func(c *corpus, b []byte) []byte { // names twice
		name := c.one("items", "auditID", "stage", "user", "username", "kind", "requestReceivedTimestamp", "annotations")
		return bytes.Replace(b, []byte(`"`+name+`":`), []byte(`"`+name+`":`+c.one("null", `"x"`, "[]", "{}", "1")+`,"`+name+`":`), 1+c.chance.IntN(2))
	},
	func(c *corpus, b []byte) []byte { // no UTF-8
		return c.insert(b, c.one("\xff", "\xc0\x80", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", `"\ud800"`, `"\udc00\ud800"`, "\xe2\x82"))
	},
	func(c *corpus, b []byte) []byte { return c.insert(b, c.one("\ufeff", "\xfe\xff", "\xff\xfe")) }, // byte-order marks
	func(c *corpus, b []byte) []byte {
		return c.insert(b, c.one("\x00", `"\u0000"`, "\x00\x00\x00\x00", "\x1b[2J", "\x7f"))
	}, // controls
	func(c *corpus, b []byte) []byte {
		return c.replace(b, `"`+strings.Repeat(c.one("x", `\"`, `\\`, "ü"), c.chance.IntN(50_000))+`"`)
	},
	func(c *corpus, b []byte) []byte { // other types
		return c.replace(b, c.one("null", "true", "{}", "[]", `""`, "[[]]", `{"":{}}`, "7", `["a",1,null]`))
	},
	func(c *corpus, b []byte) []byte {
		return c.replace(b, c.one(`"0000-00-00T00:00:00Z"`, `"9999-12-31T23:59:59Z"`, `"1969-12-31T23:59:59Z"`, `"2026-02-30T25:61:61Z"`, `"+292277026596-12-04T15:30:07Z"`))
	},
	func(_ *corpus, b []byte) []byte { return slices.Concat(b, b) }, // twice
	func(c *corpus, b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(c.one(`"`, ":", ",", "{", "}", "[", "]")), nil)
	}, // without
	func(c *corpus, b []byte) []byte { // wrapped as a string
		wrapped, _ := json.Marshal(string(b))
		return wrapped
	},
	func(c *corpus, b []byte) []byte {
		return slices.Concat([]byte(c.one("[", `{"items":`, `{"items":[`, `{"a":`)), b)
	},
}

// TestCorpus sends 10,000 hostile bodies by who may deliver. Each is
// answered, and each item of what was acknowledged is stored or quarantined.
func TestCorpus(t *testing.T) {
	const inputs = 10_000
	besides(t, "mutated corpus", func(w *world, m *manager, l *ledger) string {
		s := w.sources["hostile"]
		client := s.client()
		client.Transport.(*http.Transport).MaxIdleConnsPerHost = 16
		defer client.CloseIdleConnections()
		bodies := make(chan []byte)
		var mu sync.Mutex
		answers := map[string]int{}
		var taken [][]byte
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for body := range bodies {
					answer := s.insist(t.Context(), client, w.url(s), body)
					mu.Lock()
					answers[answer]++
					if answer == "200" {
						taken = append(taken, body)
					}
					mu.Unlock()
				}
			})
		}
		c := newCorpus(t, 77)
		for n := 0; n < inputs && m.alive(); n++ {
			bodies <- c.next()
		}
		close(bodies)
		workers.Wait()
		t.Logf("%d answered", len(taken))
		for _, body := range taken {
			l.items(t, s.name, body)
			checkCount(t, body)
		}
		if answers["200"] != inputs {
			t.Errorf("answers: %v; a bad item is to be quarantined, not refused", answers)
		}
		return fmt.Sprintf("%d inputs, %d items quarantined or stored", inputs, l.received[s.name])
	})
}

// insist sends a body until it is answered by something else than 503.
func (s *source) insist(ctx context.Context, client *http.Client, url string, body []byte) (answer string) {
	for range 20 {
		status, _, err := s.post(ctx, client, url, bytes.NewReader(body))
		if answer = outcome(status, err); err == nil && status != http.StatusServiceUnavailable {
			return answer
		}
		pause(ctx, 100*time.Millisecond)
	}
	return answer
}

// checkCount compares the number of items with another parser's, where the body
// is JSON enough for it to have an opinion.
func checkCount(t *testing.T, body []byte) {
	t.Helper()
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if !json.Valid(body) || bytes.Count(body, []byte(`"items"`)) != 1 || !bytes.HasPrefix(body, []byte(`{"kind":"EventList",`)) ||
		json.Unmarshal(body, &list) != nil {
		return
	}
	found := 0
	decoder := audit.Decoder{Source: "hostile", Classifier: classifier}
	if err := decoder.Decode(bytes.NewReader(body), func(audit.Item) error { found++; return nil }); err != nil || found < len(list.Items) {
		t.Errorf("%d items of %d, %v: %.300q", found, len(list.Items), err, body)
	}
}
