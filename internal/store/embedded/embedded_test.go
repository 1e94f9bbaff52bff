package embedded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

func closed(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Errorf("opening again = %v, want an error that says why", err)
	}
	closed(t, s)
	closed(t, mustOpen(t, Options{Dir: dir}))
}

// TestTails checks that opening cuts off what no commit refers to.
func TestTails(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	batch := newMaker(1).batch(10)
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	segment := segmentPath(dir, dayOf(batch.Events[0].OccurredAt))
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	garbage := []string{
		segmentPath(dir, 1), filepath.Join(dir, "snapshots", strings.Repeat("a", 32)+".ndjson"),
		filepath.Join(dir, "snapshots", strings.Repeat("a", 32)+".ndjson.zst"), filepath.Join(dir, "snapshots", "x.tmp"),
	}
	for _, path := range garbage {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(segment, append(bytes.Clone(whole), "unacknowledged"...), 0o600); err != nil {
		t.Fatal(err)
	}
	closed(t, mustOpen(t, Options{Dir: dir}))
	if got, err := os.ReadFile(segment); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("the segment has %d bytes (%v), want its %d committed ones", len(got), err, len(whole))
	}
	for _, path := range garbage {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", path)
		}
	}
}

// TestDamage checks that damaged raw bytes are reported and never returned,
// and that a segment that lost its end does not hinder what comes later.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(1)
	first := m.batch(10)
	s := mustOpen(t, Options{Dir: dir})
	if _, err := s.Append(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	segment := segmentPath(dir, dayOf(first.Events[0].OccurredAt))
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, damaged := range map[string][]byte{"a flipped bit": flipped, "a lost end": whole[:len(whole)/2], "a lost file": nil} {
		if err := os.WriteFile(segment, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, Options{Dir: dir})
		if e, err := s.Event(t.Context(), query.ClusterWide(), first.Events[3].ID); !errors.Is(err, errDamaged) || e.Raw != nil {
			t.Errorf("%s: Event = %v, want that the segment is damaged", name, err)
		}
		later := m.batch(1)
		if _, err := s.Append(t.Context(), later); err != nil {
			t.Fatal(err)
		}
		if e, err := s.Event(t.Context(), query.ClusterWide(), later.Events[0].ID); err != nil || !bytes.Equal(e.Raw, later.Events[0].Raw) {
			t.Errorf("%s: a later event: %v", name, err)
		}
		closed(t, s)
	}
}

func TestOverloaded(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), MaxPendingEvents: 10})
	defer closed(t, s)
	m := newMaker(1)
	if _, err := s.Append(t.Context(), m.batch(20)); err != nil {
		t.Errorf("a batch over the bound with nothing pending: %v", err)
	}
	if !s.queue.Reserve(8, 0) {
		t.Fatal("no room in an empty queue")
	}
	if _, err := s.Append(t.Context(), m.batch(3)); !errors.Is(err, store.ErrOverloaded) {
		t.Errorf("Append over the bound = %v, want ErrOverloaded", err)
	}
	s.queue.Release(8, 0)
	if _, err := s.Append(t.Context(), m.batch(3)); err != nil {
		t.Errorf("Append with room again: %v", err)
	}
}

func TestMinFree(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), MinFree: 1 << 60})
	defer closed(t, s)
	if _, err := s.Append(t.Context(), newMaker(1).batch(1)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Append without space = %v, want ErrUnavailable", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Ready without space = %v, want ErrUnavailable", err)
	}
}

// TestQuarantineBound floods the quarantine: the newest items stay.
func TestQuarantineBound(t *testing.T) {
	const limit = 100_000
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir, QuarantineBytes: limit})
	at := time.Now().UTC()
	for i := range 50 {
		batch := store.Batch{Source: "s", ReceivedAt: at.Add(time.Duration(i) * time.Second)}
		for range 10 {
			batch.Quarantined = append(batch.Quarantined, audit.Quarantined{Reason: "r", Redacted: make([]byte, 1000)})
		}
		if _, err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if s.writer.quarantineBytes > limit {
			t.Fatalf("%d bytes are in quarantine, want at most %d", s.writer.quarantineBytes, limit)
		}
	}
	kept := s.writer.quarantineBytes
	items, err := storetest.Quarantined(t.Context(), s, "s")
	if err != nil || len(items) < 60 || items[0].ReceivedAt.Unix() != at.Add(49*time.Second).Unix() {
		t.Errorf("Quarantine = %d items, %v; want the newest", len(items), err)
	}
	closed(t, s)
	s = mustOpen(t, Options{Dir: dir, QuarantineBytes: limit})
	defer closed(t, s)
	if s.writer.quarantineBytes != kept {
		t.Errorf("%d bytes are in quarantine after reopening, want %d", s.writer.quarantineBytes, kept)
	}
}

func TestStatementTimeout(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), StatementTimeout: time.Nanosecond})
	defer closed(t, s)
	_, err := s.View(t.Context(), query.ClusterWide(), store.ViewRequest{Window: query.Window{To: time.Now()}, Limit: 1})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("View = %v, want that it took too long", err)
	}
}

// TestCancelWhileReading cancels a statement that runs.
func TestCancelWhileReading(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.read(ctx, "store.test", func(ctx context.Context, tx *readTx) error {
		time.AfterFunc(20*time.Millisecond, cancel)
		var n int64
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3").Scan(&n)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled statement = %v, want context.Canceled", err)
	}
}

// TestReopen opens the database anew under running reads, as after a failed
// write, and checks that known events stay known.
func TestReopen(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	m := newMaker(1)
	batch := m.batch(20)
	for _, want := range []store.Appended{{Stored: 20}, {Duplicate: 20}, {Duplicate: 20}} {
		got, err := s.Append(t.Context(), batch)
		if err != nil || got != want {
			t.Errorf("Append = %+v, %v; want %+v", got, err, want)
		}
		s.writer.broken = true // nobody else writes now
	}
}

// TestReopenAfterCancelledReads cancels reads at every moment, most of all while
// they begin. None may disturb another read, nor keep the database from being
// opened again.
func TestReopenAfterCancelledReads(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	batch := newMaker(1).batch(20)
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	cancelled := 0
	for n := range 1000 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n%100)*20*time.Microsecond)
		if _, err := s.Sources(ctx); errors.Is(err, context.DeadlineExceeded) {
			cancelled++
		} else if err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	if cancelled == 0 {
		t.Error("no read was cancelled")
	}
	s.writer.broken = true // nobody else writes now
	appended := make(chan error, 1)
	go func() {
		_, err := s.Append(t.Context(), batch)
		appended <- err
	}()
	select {
	case err := <-appended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("DuckDB waits for what was cancelled, and Close would do so, too")
	}
	closed(t, s)
}

// TestSnapshotReadsWhileClosing checks that a call within a call can't lock
// Close and itself.
func TestSnapshotReadsWhileClosing(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	result := make(chan error, 1)
	err := s.SaveSnapshot(t.Context(), strings.Repeat("0", 32), store.SnapshotSpace{}, func(io.Writer) (store.Manifest, error) {
		go func() { result <- s.Close() }()
		for s.calls.Enter() == nil { // until Close has begun
			s.calls.Leave()
		}
		_, err := s.Sources(t.Context())
		return store.Manifest{}, err
	})
	if !errors.Is(err, store.ErrClosed) {
		t.Errorf("SaveSnapshot = %v, want ErrClosed", err)
	}
	if err := <-result; err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestBloom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() (id audit.ID) {
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		return id
	}
	var b bloom
	var held []audit.ID
	for range 200_000 {
		held = append(held, draw())
		b.add(held[len(held)-1])
	}
	for _, id := range held {
		if !b.mayHold(id) {
			t.Fatalf("%s was added and is denied", id)
		}
	}
	wrong := 0
	for range 200_000 {
		if b.mayHold(draw()) {
			wrong++
		}
	}
	if wrong > 200 { // 1 in 1,000
		t.Errorf("%d of 200,000 false positives", wrong)
	}
	t.Logf("%d of 200,000 false positives", wrong)
}

func TestParseUUID(t *testing.T) {
	for text, want := range map[string]bool{
		"0f0e0d0c-0b0a-4908-8706-050403020100": true, "0F0e0d0c-0b0a-4908-8706-050403020100": false, "": false,
		"0f0e0d0c00b0a-4908-8706-050403020100": false, "0f0e0d0c-0b0a-4908-8706-05040302010": false, "{f0e0d0c-0b0a-4908-8706-050403020100": false,
	} {
		u, ok := parseUUID(text)
		if ok != want || ok && uuidText(u[:]) != text {
			t.Errorf("parseUUID(%q) = %v, %v", text, u, ok)
		}
	}
}
