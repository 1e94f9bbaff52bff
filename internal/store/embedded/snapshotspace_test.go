package embedded

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

func bodyOf(t *testing.T, s *Store, id string) (string, error) {
	t.Helper()
	r, err := s.OpenSnapshot(t.Context(), query.ClusterWide(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return string(body), err
}

// TestSnapshotsArePacked looks at the files: bodies are compressed, and those of
// before are still read, counted, backed up and deleted.
func TestSnapshotsArePacked(t *testing.T) {
	dir := t.TempDir()
	id, old := strings.Repeat("0", 32), strings.Repeat("1", 32)
	body := strings.Repeat(`{"action":"application.delete"}`+"\n", 10_000)
	s := mustOpen(t, Options{Dir: dir})
	saveSnapshot(t, s, id, body)
	saveSnapshot(t, s, old, "")
	closed(t, s)
	packed := filepath.Join(dir, "snapshots", id+packedBody)
	info, err := os.Stat(packed)
	if err != nil || info.Size() > int64(len(body)/20) {
		t.Fatalf("the body of %d bytes takes %+v, %v", len(body), info, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "snapshots", old+packedBody)),
		os.WriteFile(filepath.Join(dir, "snapshots", old+plainBody), []byte(body), 0o600)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir})
	defer closed(t, s)
	for _, id := range []string{id, old} {
		if got, err := bodyOf(t, s, id); err != nil || got != body {
			t.Errorf("the body of %s has %d bytes, %v", id, len(got), err)
		}
	}
	if used := s.snapshots.space.total(); used < int64(len(body)) || used > int64(len(body))*11/10 {
		t.Errorf("the two take %d bytes, and the one that is not compressed %d", used, len(body))
	}
	b, err := s.Backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again := restored(t, streamed(t, b))
	for _, id := range []string{id, old} {
		if got, err := bodyOf(t, again, id); err != nil || got != body {
			t.Errorf("restored, the body of %s has %d bytes, %v", id, len(got), err)
		}
		if err := s.DeleteSnapshot(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if left := readFiles(t, filepath.Join(dir, "snapshots")); len(left) > 0 || s.snapshots.space.total() != 0 {
		t.Errorf("%d files are left, %d bytes are counted", len(left), s.snapshots.space.total())
	}
}

// TestSnapshotDamaged changes a byte of a compressed body.
func TestSnapshotDamaged(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, s)
	id := strings.Repeat("0", 32)
	random := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	saveSnapshot(t, s, id, string(random))
	path := s.snapshots.path(id, packedBody)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Clone(data)
	data[len(data)/2]++
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bodyOf(t, s, id); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("read a damaged body: %v", err)
	}
}

// TestIngestReserve checks that events may use space that snapshots may not.
func TestIngestReserve(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), IngestReserve: 1 << 30})
	defer closed(t, s)
	free := uint64(1<<30 + 1)
	s.snapshots.space.free = func() (uint64, error) { return free, nil }
	saveSnapshot(t, s, strings.Repeat("0", 32), "body")
	free--
	save := func(space store.SnapshotSpace) error {
		m := store.Manifest{ID: strings.Repeat("1", 32), Namespace: space.Namespace}
		return s.SaveSnapshot(t.Context(), m.ID, space, func(io.Writer) (store.Manifest, error) { return m, nil })
	}
	for _, space := range []store.SnapshotSpace{{}, {Namespace: "shop"}} {
		if err := save(space); !errors.Is(err, store.ErrReserved) {
			t.Errorf("SaveSnapshot into the reserve = %v", err)
		}
	}
	if _, err := s.Append(t.Context(), newMaker(1).batch(10)); err != nil {
		t.Errorf("Append: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if err := save(store.SnapshotSpace{Unmetered: true}); err != nil {
		t.Errorf("a copy: %v", err)
	}
}

// TestSnapshotSpaceAfterDelete checks that what was deleted can be used again.
func TestSnapshotSpaceAfterDelete(t *testing.T) {
	s := mustOpen(t, Options{Dir: t.TempDir(), SnapshotQuota: store.SnapshotQuota{PerNamespace: 3 << 20}})
	defer closed(t, s)
	random := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	for range 3 {
		saveSnapshot(t, s, strings.Repeat("0", 32), string(random))
		if err := s.DeleteSnapshot(t.Context(), strings.Repeat("0", 32)); err != nil {
			t.Fatal(err)
		}
	}
}
