package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
)

// TestThereAndBack copies 20,000 events of five days from the embedded store to
// PostgreSQL, from there to another database, and back to an empty embedded
// store: all of them hold the same, to the byte, and say the same of it.
func TestThereAndBack(t *testing.T) {
	first := openEmbedded(t, embedded.Options{})
	filled(t, first, 4000)
	second, third := openPostgres(t, postgres.Options{}), openPostgres(t, postgres.Options{})
	last := openEmbedded(t, embedded.Options{})

	var progress []int64
	there := mustCopy(t, first, second, Options{Progress: func(done, total int64) {
		progress = append(progress, done)
		if total != 20_000 {
			t.Errorf("%d events are to be copied, want 20000", total)
		}
	}})
	if n := len(progress); n < days || progress[0] != 0 || progress[n-1] != 20_000 {
		t.Errorf("the progress is %v", progress)
	}
	want := Counts{Events: 20_000, Copied: 20_000}
	if d := gocmp.Diff(want, there.Total()); d != "" {
		t.Errorf("copied (-want +got):\n%s", d)
	}
	if d := gocmp.Diff(Snapshots{Snapshots: 3, Copied: 3}, there.Snapshots); d != "" {
		t.Errorf("snapshots (-want +got):\n%s", d)
	}
	if d := gocmp.Diff(Quarantine{Items: 60, Copied: 60}, there.Quarantine); d != "" || there.Sources != 2 {
		t.Errorf("totals of %d sources, quarantine (-want +got):\n%s", there.Sources, d)
	}
	held := read(t, first)
	if len(held.Events) != 20_000 || len(held.Bodies) != 3 || len(held.Quarantined) != 60 {
		t.Fatalf("the source holds %d events, %d snapshots, %d items", len(held.Events), len(held.Bodies), len(held.Quarantined))
	}
	for name, step := range map[string]func() (*Summary, store.Holdings){
		"1 PostgreSQL":       func() (*Summary, store.Holdings) { return there, second },
		"2 to another":       func() (*Summary, store.Holdings) { return mustCopy(t, second, third, Options{}), third },
		"3 back to embedded": func() (*Summary, store.Holdings) { return mustCopy(t, second, last, Options{}), last },
	} {
		summary, to := step()
		if d := same(held, read(t, to)); d != "" {
			t.Fatalf("%s (-want +got):\n%.4000s", name, d)
		}
		if to.Key() != first.Key() {
			t.Errorf("%s: it has another key", name)
		}
		if d := gocmp.Diff(there.Days, summary.Days); d != "" {
			t.Errorf("%s: days (-want +got):\n%s", name, d)
		}
	}
	// Again, and back to where all came from: everything is there.
	for name, pair := range map[string][2]store.Holdings{"again": {first, second}, "to the first": {last, first}} {
		again := mustCopy(t, pair[0], pair[1], Options{})
		if d := gocmp.Diff(Counts{Events: 20_000, Present: 20_000}, again.Total()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if again.Snapshots.Present != 3 || again.Quarantine.Present != 60 {
			t.Errorf("%s: %+v, %+v", name, again.Snapshots, again.Quarantine)
		}
		if d := same(held, read(t, pair[1])); d != "" {
			t.Errorf("%s (-want +got):\n%.4000s", name, d)
		}
	}
}

// TestInterrupted cancels copies after each part, and goes on.
func TestInterrupted(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{})
	filled(t, from, 400)
	interrupted := 0
	for stop := int64(400); stop < 2000; stop += 800 {
		ctx, cancel := context.WithCancel(t.Context())
		summary, err := Copy(ctx, from, to, Options{Progress: func(done, _ int64) {
			if done >= stop {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a copy that was cancelled = %v", err)
		}
		if total := summary.Total(); total.Copied == 0 || total.Present+total.Copied < stop {
			t.Errorf("stopped at %d: %+v", stop, total)
		}
		interrupted++
	}
	rest := mustCopy(t, from, to, Options{}).Total()
	if rest.Present == 0 || rest.Copied == 0 || rest.Present+rest.Copied != 2000 {
		t.Errorf("after %d interruptions: %+v", interrupted, rest)
	}
	if d := same(read(t, from), read(t, to)); d != "" {
		t.Errorf("after an interruption (-want +got):\n%.4000s", d)
	}
}

// TestSourceInUse copies while the source takes events and snapshots, and once
// more when it has stopped, as the handbook has it.
func TestSourceInUse(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{})
	before := filled(t, from, 2000)
	ctx, stop := context.WithCancel(t.Context())
	taking := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			batch := generated(t, "late", now.Add(-time.Duration(n)*17*time.Minute), 50)
			batch.ReceivedAt = now.Add(time.Duration(n) * time.Second)
			if _, err := from.Append(ctx, batch); err != nil {
				taking <- err
				return
			}
		}
	}()
	live, err := Copy(t.Context(), from, to, Options{})
	stop()
	if taken := <-taking; !errors.Is(taken, context.Canceled) {
		t.Errorf("the source meanwhile: %v", taken)
	}
	if err != nil || !live.Whole() {
		t.Fatalf("a copy of a store in use = %v\n%s", err, written(t, &live))
	}
	if total := live.Total(); total.Copied < int64(len(before)) {
		t.Errorf("%d events were copied of the %d of before", total.Copied, len(before))
	}
	take(t, from, 9, "")
	mustCopy(t, from, to, Options{})
	if d := same(read(t, from), read(t, to)); d != "" {
		t.Errorf("after the last copy (-want +got):\n%.4000s", d)
	}
}

// TestTargetInUse copies to a store that holds events of its own, more than the
// source, between those of the source.
func TestTargetInUse(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{})
	mustCopy(t, from, to, Options{}) // which gives it the key
	mustAppend(t, from, generated(t, "s", now.AddDate(0, 0, -1), 500))
	own := generated(t, "own", now.AddDate(0, 0, -1), pageEvents+2000)
	mustAppend(t, to, own)
	mustAppend(t, from, store.Batch{Source: "s", ReceivedAt: now, Events: own.Events[len(own.Events)-100:]}) // which both took
	summary := mustCopy(t, from, to, Options{})
	if d := gocmp.Diff(Counts{Events: 600, Copied: 500, Present: 100}, summary.Total()); d != "" {
		t.Errorf("copied (-want +got):\n%s", d)
	}
	if got := len(read(t, to).Events); got != pageEvents+2500 {
		t.Errorf("the target holds %d events, want %d", got, pageEvents+2500)
	}
}

// TestOtherKey copies to a store that has taken events of its own under another
// key: nothing of it is changed.
func TestOtherKey(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{})
	mustAppend(t, from, generated(t, "s", now.Add(-time.Hour), 10))
	mustAppend(t, to, generated(t, "own", now.Add(-time.Hour), 10))
	key := to.Key()
	if key == from.Key() {
		t.Fatal("two stores have one key")
	}
	if _, err := Copy(t.Context(), from, to, Options{}); !errors.Is(err, store.ErrOtherKey) {
		t.Errorf("Copy = %v, want %v", err, store.ErrOtherKey)
	}
	if got := len(read(t, to).Events); got != 10 || to.Key() != key {
		t.Errorf("the target holds %d events, and its key is another: %t", got, to.Key() != key)
	}
	compared, err := Copy(t.Context(), from, to, Options{VerifyOnly: true})
	must(t, err)
	if !compared.OtherKey || compared.Whole() || !strings.Contains(written(t, &compared), "another key") {
		t.Errorf("a comparison says nothing of the keys:\n%s", written(t, &compared))
	}
}

// TestTooOld copies to a store that keeps less.
func TestTooOld(t *testing.T) {
	from := openEmbedded(t, embedded.Options{})
	all := filled(t, from, 400)
	to := openPostgres(t, postgres.Options{Retention: 2 * 24 * time.Hour})
	kept := int64(0)
	for _, e := range all {
		if !e.Day().Before(audit.Day(now.AddDate(0, 0, -2))) {
			kept++
		}
	}
	summary := mustCopy(t, from, to, Options{})
	if d := gocmp.Diff(Counts{Events: 2000, Copied: kept, TooOld: 2000 - kept}, summary.Total()); d != "" || kept == 0 || kept == 2000 {
		t.Errorf("copied (-want +got):\n%s", d)
	}
	if summary.Quarantine.TooOld != 24 {
		t.Errorf("quarantine: %+v, want that 24 items are too old", summary.Quarantine)
	}
	if got := int64(len(read(t, to).Events)); got != kept {
		t.Errorf("the target holds %d events, want %d", got, kept)
	}
	if again := mustCopy(t, from, to, Options{}); again.Total().Present != kept {
		t.Errorf("again: %+v", again.Total())
	}
}

// TestDroppedMeanwhile has the source drop days while the first is being copied.
func TestDroppedMeanwhile(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openPostgres(t, postgres.Options{})
	filled(t, from, 400)
	dropped := 0
	source := &interrupted{Holdings: from, before: func() {
		if dropped == 0 {
			gone, err := from.Retain(t.Context(), now.AddDate(0, 0, -1))
			must(t, err)
			dropped = len(gone)
		}
	}}
	summary := mustCopy(t, source, to, Options{})
	if dropped == 0 || summary.Total().Events == 0 {
		t.Errorf("%d days were dropped; %+v", dropped, summary.Total())
	}
}

// interrupted has something done between what is listed and what is given away.
type interrupted struct {
	store.Holdings
	before func()
}

func (i *interrupted) Export(ctx context.Context, stretch store.Stretch, wanted func(audit.ID) bool, event func(*audit.Event, error) error) error {
	i.before()
	return i.Holdings.Export(ctx, stretch, wanted, event)
}

// TestQuarantineGivesWay copies to a store without room for all items.
func TestQuarantineGivesWay(t *testing.T) {
	from, to := openEmbedded(t, embedded.Options{}), openEmbedded(t, embedded.Options{QuarantineBytes: 3000})
	for n := range 30 {
		mustAppend(t, from, store.Batch{Source: "s", ReceivedAt: now, Quarantined: []audit.Quarantined{{Reason: fmt.Sprint(n), Redacted: make([]byte, 100)}}})
	}
	q := mustCopy(t, from, to, Options{}).Quarantine
	if q.Items != 30 || q.Copied+q.GaveWay != 30 || q.Copied == 0 || q.GaveWay == 0 {
		t.Errorf("quarantine: %+v", q)
	}
}
