package embedded

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/position"
)

func FuzzDecodePosition(f *testing.F) {
	f.Add(tailPosition{}.written(20_000).encode())
	f.Add(tailPosition{since: 20_000, days: map[int]arrived{20_000: {1, mark{1}}, 20_001: {1 << 39, mark{2, 3, 4, 5}}, 20_400: {300, mark{}}}}.written(20_401).encode())
	f.Add([]byte{positionVersion, 0x80, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodePosition(b)
		if err != nil {
			if !errors.Is(err, store.ErrPosition) {
				t.Errorf("decodePosition = %v", err)
			}
			return
		}
		if again := w.encode(); !bytes.Equal(again, b) {
			t.Errorf("%x is read as %+v, which is written as %x", b, w, again)
		}
	})
}

// A position comes back as it was, fits, and is as long as any other of the same
// question, whatever the days hold. What has come to an old day is never passed
// over.
func TestWrittenPosition(t *testing.T) {
	const today = 20_000
	rapid.Check(t, func(r *rapid.T) {
		p := tailPosition{since: today - rapid.IntRange(0, 2000).Draw(r, "since"), days: map[int]arrived{}}
		for range rapid.IntRange(0, 30).Draw(r, "days") {
			day := rapid.IntRange(p.since, today+1).Draw(r, "day")
			p.days[day] = arrived{rapid.Int64Range(1, 1<<40-1).Draw(r, "rows"), mark{byte(day), 1}}
		}
		sealed := p.written(today + 1).encode()
		if empty := (tailPosition{since: p.since}).written(today + 1).encode(); len(empty) != len(sealed) || len(sealed) > position.MaxPlain {
			r.Fatalf("%d bytes say %+v, and %d nothing", len(sealed), p, len(empty))
		}
		w, err := decodePosition(sealed)
		if err != nil {
			r.Fatal(err)
		}
		got, err := w.read(p.days)
		if err != nil || !cmp.Equal(p, got, cmp.AllowUnexported(tailPosition{}, arrived{})) {
			r.Fatalf("%+v comes back as %+v, %v", p, got, err)
		}
		more := map[int]arrived{}
		changed := rapid.IntRange(p.since, today+1).Draw(r, "changed")
		for day, of := range p.days {
			more[day] = of
		}
		more[changed] = arrived{more[changed].rows + 1, mark{9}}
		got, err = w.read(more)
		if old := changed < today+1-mostDays+1; old != errors.Is(err, store.ErrPosition) {
			r.Fatalf("a row more on day %d of %d gives %v", changed, today, err)
		} else if !old && got.days[changed] == more[changed] {
			r.Fatal("a row that came is taken for one that was seen")
		}
	})
}
