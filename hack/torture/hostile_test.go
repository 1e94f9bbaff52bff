package torture

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// memoryBound is what the manager may ever have in memory, whatever comes.
const memoryBound = 1 << 30

// slowestHonest is how long an honest delivery may take beside hostile ones, on
// a machine that runs both: half of what an API server waits.
const slowestHonest = 15 * time.Second

// besides runs something hostile beside honest traffic, which must go on, and
// checks what holds for all that is hostile: the manager lives, has not
// panicked, and keeps to its memory.
func besides(t *testing.T, name string, hostile func(w *world, m *manager, l *ledger) (note string)) {
	t.Helper()
	w := inWorld(t)
	r := scenario(t, name)
	l := newLedger(t, folder(filepath.Join(t.TempDir(), "store")))
	s := newSender(w, "honest", 7)
	m := w.mustStart(t, l.storage)
	limitMemory(t, m.command.Process.Pid)
	stop := s.start(t)
	r.before(t, s.loadFor(t, time.Second))
	s.restart()
	note := hostile(w, m, l)
	rate := s.loadFor(t, 100*time.Millisecond)
	peak, err := m.peakMemory()
	if err != nil || peak > memoryBound {
		t.Errorf("the manager had %d MiB in memory, want at most %d: %v", peak>>20, memoryBound>>20, err)
	}
	if !m.alive() || m.logged("panic") > 0 {
		t.Errorf("alive: %t, %d panics\n%s", m.alive(), m.logged("panic"), m.tail())
	}
	stop()
	if rate < leastRate || s.slowest > slowestHonest || len(s.wrong) > 0 || s.refused > 0 {
		t.Errorf("honest traffic: %.0f events/s, the slowest took %v, %d were put off; wrong answers: %q", rate, s.slowest, s.refused, s.wrong)
	}
	r.note = strings.TrimPrefix(note+"; ", "; ") + fmt.Sprintf("honest %.0f events/s, slowest %v, peak %d MiB", rate, s.slowest.Round(time.Millisecond), peak>>20)
	t.Log(r.note)
	l.note(t, s.source.name, s.settled())
	r.end(t, m, l)
	if got, want := l.stats(t, "hostile").Received, int64(l.received["hostile"]); got != want {
		t.Errorf("%d items of what was answered with 200 are stored or quarantined, want %d", got, want)
	}
}

// letters is an endless reader of one byte.
type letters byte

func (l letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(l)
	}
	return len(p), nil
}

// TestHugeBody sends 1 GiB as one string of one event, by who may deliver and
// by who may not.
func TestHugeBody(t *testing.T) {
	besides(t, "a 1 GiB body", func(w *world, _ *manager, l *ledger) string {
		s := w.sources["hostile"]
		client := s.client()
		defer client.CloseIdleConnections()
		stranger := &source{name: s.name, token: "guessed", authority: s.authority}
		body := func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"items":[{"auditID":"`), io.LimitReader(letters('x'), 1<<30), strings.NewReader(`"}]}`))
		}
		if status, _, err := stranger.post(t.Context(), client, w.url(s), body()); err == nil && status != http.StatusUnauthorized {
			t.Errorf("without credentials: status %d", status)
		}
		began := time.Now()
		status, _, err := s.post(t.Context(), client, w.url(s), body())
		if err == nil && status == http.StatusOK {
			l.received[s.name]++ // one item, which is no event
		}
		return "answer " + outcome(status, err) + " after " + time.Since(began).Round(100*time.Millisecond).String()
	})
}

// TestNesting sends what would use up the stack of a parser that recurses.
func TestNesting(t *testing.T) {
	besides(t, "nesting 100,000 deep", func(w *world, _ *manager, l *ledger) string {
		s := w.sources["hostile"]
		client := s.client()
		defer client.CloseIdleConnections()
		const deep = 100_000
		arrays, objects := strings.Repeat("[", deep), strings.Repeat(`{"a":`, deep)
		event := `{"level":"RequestResponse","auditID":"x","stage":"ResponseComplete","requestURI":"/","verb":"get","requestReceivedTimestamp":"` +
			time.Now().UTC().Format(time.RFC3339) + `","requestObject":`
		for name, body := range map[string]string{
			"arrays":           arrays + strings.Repeat("]", deep),
			"items of items":   `{"items":` + arrays + strings.Repeat("]", deep) + "}",
			"open arrays":      `{"items":[` + arrays,
			"objects":          `{"items":[` + objects + "1" + strings.Repeat("}", deep) + "]}",
			"open objects":     `{"items":[` + objects,
			"an event's body":  `{"items":[` + event + objects + "1" + strings.Repeat("}", deep) + "}]}",
			"a body of arrays": `{"items":[` + event + arrays + strings.Repeat("]", deep) + "}]}",
		} {
			status, _, err := s.post(t.Context(), client, w.url(s), strings.NewReader(body))
			if err != nil || status != http.StatusOK {
				t.Errorf("%s: %s; it is to be taken", name, outcome(status, err))
			}
			l.items(t, s.name, []byte(body))
		}
		return ""
	})
}

// TestCompression sends compressed bodies: a bomb is refused, and so is what says
// that it is compressed in another way than gzip; what does not is no JSON.
func TestCompression(t *testing.T) {
	besides(t, "compression headers and bombs", func(w *world, _ *manager, l *ledger) string {
		s := w.sources["hostile"]
		client := s.client()
		defer client.CloseIdleConnections()
		var zipped, deflated bytes.Buffer
		for into, writer := range map[*bytes.Buffer]func() io.WriteCloser{
			&zipped:   func() io.WriteCloser { return gzip.NewWriter(&zipped) },
			&deflated: func() io.WriteCloser { f, _ := flate.NewWriter(&deflated, 9); return f },
		} {
			out := writer()
			if _, err := io.Copy(out, io.LimitReader(letters(' '), 64<<20)); err != nil {
				t.Fatal(err)
			}
			if err := out.Close(); err != nil || into.Len() > 1<<20 {
				t.Fatalf("a bomb of %d bytes, %v", into.Len(), err)
			}
		}
		for _, encoding := range []string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "GZIP", "unheard-of", "identity"} {
			for _, body := range [][]byte{zipped.Bytes(), deflated.Bytes()} {
				status, err := s.encoded(t.Context(), client, w.url(s), encoding, body)
				want := http.StatusUnsupportedMediaType
				isRead := encoding == "identity" || strings.HasSuffix(strings.ToLower(encoding), "gzip") && !strings.Contains(encoding, ",")
				switch {
				case isRead && bytes.Equal(body, zipped.Bytes()): // gzip is known by how it begins
					want = http.StatusRequestEntityTooLarge
				case isRead: // as what it is, which is no JSON
					want = http.StatusOK
					l.items(t, s.name, body)
				}
				if err != nil || status != want {
					t.Errorf("Content-Encoding %s: %s, want %d", encoding, outcome(status, err), want)
				}
			}
		}
		return ""
	})
}

func (s *source) encoded(ctx context.Context, client *http.Client, url, encoding string, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Encoding", encoding)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	return response.StatusCode, nil
}
