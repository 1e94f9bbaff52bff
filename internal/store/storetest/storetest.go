// Package storetest is the suite that every store must pass: scripted cases,
// and generated ones compared with a plain slice.
package storetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Options say how a test wants its store.
type Options struct {
	// Dir names the data: a store that is opened with the Dir of one that was
	// closed holds what that one held. It is an existing directory of the
	// test's own; a store that needs none uses it as a name.
	Dir       string
	Now       func() time.Time
	Retention time.Duration
	// SnapshotQuota bounds snapshots; without a bound by default.
	SnapshotQuota store.SnapshotQuota
}

// Run runs the suite. open opens a store, which the suite closes; it ends the
// test if it can't.
func Run(t *testing.T, open func(t *testing.T, opts Options) store.Store) {
	for name, test := range map[string]func(t *testing.T, b *bench){
		"Generated":             testGenerated,
		"Paging":                testPaging,
		"EventScope":            testEventScope,
		"Foreign":               testForeign,
		"Actions":               testActions,
		"SameRequest":           testSameRequest,
		"SameRequestGenerated":  testSameRequestGenerated,
		"SameRequestBound":      testSameRequestBound,
		"RoundTrip":             testRoundTrip,
		"Groups":                testGroups,
		"HostileText":           testHostileText,
		"FatRows":               testFatRows,
		"AnswerBytes":           testAnswerBytes,
		"CaptureStops":          testCaptureStops,
		"FacetContains":         testFacetContains,
		"FacetValuesChosen":     testFacetValuesCanBeChosen,
		"LongFacetValuesChosen": testLongFacetValuesCanBeChosen,
		"Tail":                  testTail,
		"TailManyDays":          testTailManyDays,
		"TailGenerated":         testTailGenerated,
		"TailConcurrent":        testTailConcurrent,
		"TailScope":             testTailScope,
		"TailPosition":          testTailPosition,
		"TailRetain":            testTailRetain,
		"TailImported":          testTailImported,
		"ManyNamespaces":        testManyNamespaces,
		"MadeAgain":             testMadeAgain,
		"MadeAgainSnapshots":    testMadeAgainSnapshots,
		"Sessions":              testSessions,
		"ManySessions":          testManySessions,
		"FarTimes":              testFarTimes,
		"BadRequests":           testBadRequests,
		"Cancelled":             testCancelled,
		"DuplicatesInBatch":     testDuplicatesInBatch,
		"DuplicatesAcross":      testDuplicatesAcross,
		"ConcurrentAppends":     testConcurrentAppends,
		"Quarantine":            testQuarantine,
		"QuarantinePages":       testQuarantinePageIsBounded,
		"QuarantineOfWindow":    testQuarantineOfWindow,
		"OutsideRetention":      testOutsideRetention,
		"Sources":               testSources,
		"EmptyBatch":            testEmptyBatch,
		"Retain":                testRetain,
		"StoredDays":            testStoredDays,
		"ClockAhead":            testClockAhead,
		"ClockBehind":           testClockBehind,
		"Skews":                 testSkews,
		"Closed":                testClosed,
		"SnapshotRoundTrip":     testSnapshotRoundTrip,
		"SnapshotScope":         testSnapshotScope,
		"SnapshotFailures":      testSnapshotFailures,
		"SnapshotSavedOnce":     testSnapshotSavedOnce,
		"SnapshotOpened":        testSnapshotOpened,
		"SnapshotsOfOwner":      testSnapshotsOfOwner,
		"SnapshotOutlivesEvent": testSnapshotOutlivesEvent,
		"SnapshotQuota":         testSnapshotQuota,
		"SnapshotQuotaPacked":   testSnapshotQuotaCompressed,
		"SnapshotQuotaCutOff":   testSnapshotQuotaWhileWriting,
		"SnapshotQuotaAtOnce":   testSnapshotQuotaConcurrent,
		"SnapshotOtherSpace":    testSnapshotOfAnotherSpace,
		"SnapshotMarks":         testSnapshotMarks,
		"ListSnapshots":         testListSnapshots,
		"ListSnapshotsOften":    testListSnapshotsGenerated,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBench(t, open)) })
	}
}

// newBench opens a store that is closed with the test.
func newBench(t *testing.T, open func(t *testing.T, opts Options) store.Store) *bench {
	t.Helper()
	b := &bench{open: open, dir: t.TempDir(), clock: &clock{now: start}}
	b.reopen(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// start is when the tests begin: an afternoon, so that today has two halves.
var start = time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC)

// retention of the tests' stores.
const retention = 10 * 24 * time.Hour

// bench is a store with the clock that it reads.
type bench struct {
	store.Store
	open  func(t *testing.T, opts Options) store.Store
	dir   string
	clock *clock
	quota store.SnapshotQuota
}

// reopen closes the store, if it is open, and opens it again.
func (b *bench) reopen(t *testing.T) {
	t.Helper()
	if b.Store != nil {
		if err := b.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	b.Store = b.open(t, Options{Dir: b.dir, Now: b.clock.Now, Retention: retention, SnapshotQuota: b.quota})
}

// append appends events and checks what became of them.
func (b *bench) append(t *testing.T, want store.Appended, events ...audit.Event) {
	t.Helper()
	got, err := b.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: b.clock.Now(), Events: events})
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	if got != want {
		t.Fatalf("Append = %+v, want %+v", got, want)
	}
}

// all returns every stored event of every stage, newest first.
func (b *bench) all(t *testing.T) []audit.Event {
	t.Helper()
	view, err := b.View(t.Context(), query.ClusterWide(), store.ViewRequest{Filter: everyStage(), Window: always(b.clock.Now()), Limit: store.MaxPage})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	return view.Events
}

func everyStage() query.Filter { return query.Filter{Terms: query.Terms{Stages: audit.Stages}} }

// always is a window around all that the tests store.
func always(now time.Time) query.Window {
	return query.Window{From: now.Add(-60 * 24 * time.Hour), To: now.Add(60 * 24 * time.Hour)}
}

// clock is a settable clock, safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plain is a simple event at a time.
func plain(n int, at time.Time) audit.Event {
	return number(audit.Event{
		Source: "s", Cluster: "prod", Stage: audit.StageResponseComplete, OccurredAt: at.UTC().Truncate(time.Microsecond), StageAt: at.UTC().Truncate(time.Microsecond),
		Actor: "alice", Method: "GET", ResourceType: "application", Action: "application.get", Namespace: "shop", StatusCode: 200, Client: audit.ClientCLI,
	}, n)
}

// diff compares events but for what the store sets and lists leave out.
func diff(want, got []audit.Event) string {
	return cmp.Diff(want, got, compareEvents, cmpopts.IgnoreFields(audit.Event{}, "IngestedAt", "Raw"), cmpopts.EquateEmpty())
}

var compareEvents = cmp.Options{
	cmpopts.EquateComparable(audit.ID{}),
	cmp.Comparer(func(a, b interface{ AsSlice() []byte }) bool { return bytes.Equal(a.AsSlice(), b.AsSlice()) }),
}
