package faultfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
)

// mounted is a file system with the steps that the tests are made of.
type mounted struct {
	*faultfs.FS
	t   *testing.T
	dir string
}

func mount(t *testing.T, capacity int64) *mounted {
	t.Helper()
	m := &mounted{FS: faultfs.New(capacity), t: t, dir: t.TempDir()}
	m.must(m.Mount(m.dir))
	t.Cleanup(func() { m.must(m.Unmount()) })
	return m
}

func (m *mounted) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mounted) path(name string) string { return filepath.Join(m.dir, name) }

// at writes text into a file, and syncs it on demand.
func (m *mounted) at(name string, offset int64, text string, sync bool) error {
	file, err := os.OpenFile(m.path(name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte(text), offset)
	if err == nil && sync {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (m *mounted) syncDir() error {
	dir, err := os.Open(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// cut is a power cut, and what can be read after it.
func (m *mounted) cut(chance *rand.Rand) map[string]string {
	m.t.Helper()
	m.must(m.Unmount())
	m.Cut(chance)
	m.must(m.Mount(m.dir))
	return m.read()
}

func (m *mounted) read() map[string]string {
	m.t.Helper()
	entries, err := os.ReadDir(m.dir)
	m.must(err)
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(m.path(entry.Name()))
		m.must(err)
		files[entry.Name()] = string(data)
	}
	return files
}

func TestCutLosesWhatWasNotSynced(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(m *mounted) error
		want map[string]string
	}{
		"a write":              {func(m *mounted) error { return m.at("a", 0, "new", false) }, map[string]string{"a": "old", "b": "other"}},
		"a synced write":       {func(m *mounted) error { return m.at("a", 0, "new", true) }, map[string]string{"a": "new", "b": "other"}},
		"growth":               {func(m *mounted) error { return m.at("a", 3, "er", false) }, map[string]string{"a": "old", "b": "other"}},
		"a truncation":         {func(m *mounted) error { return os.Truncate(m.path("a"), 1) }, map[string]string{"a": "old", "b": "other"}},
		"a removal":            {func(m *mounted) error { return os.Remove(m.path("a")) }, map[string]string{"a": "old", "b": "other"}},
		"a rename":             {func(m *mounted) error { return os.Rename(m.path("a"), m.path("b")) }, map[string]string{"a": "old", "b": "other"}},
		"a new file's name":    {func(m *mounted) error { return m.at("c", 0, "new", true) }, map[string]string{"a": "old", "b": "other"}},
		"a new file's content": {func(m *mounted) error { return errors.Join(m.at("c", 0, "new", false), m.syncDir()) }, map[string]string{"a": "old", "b": "other", "c": ""}},
		"a synced rename":      {func(m *mounted) error { return errors.Join(os.Rename(m.path("a"), m.path("b")), m.syncDir()) }, map[string]string{"b": "old"}},
		"a second name":        {func(m *mounted) error { return os.Link(m.path("a"), m.path("c")) }, map[string]string{"a": "old", "b": "other"}},
		"a synced second name": {func(m *mounted) error {
			return errors.Join(os.Link(m.path("a"), m.path("c")), os.Remove(m.path("a")), m.syncDir())
		}, map[string]string{"b": "other", "c": "old"}},
		"a synced removal": {func(m *mounted) error { return errors.Join(os.Remove(m.path("a")), m.syncDir()) }, map[string]string{"b": "other"}},
		"what a failed fsync was to write": {func(m *mounted) error {
			m.Inject(faultfs.Fault{Op: faultfs.Sync, Errno: syscall.EIO})
			if err := m.at("a", 0, "new", true); !errors.Is(err, syscall.EIO) {
				return err
			}
			m.Heal()
			return m.at("b", 0, "OTHER", true)
		}, map[string]string{"a": "old", "b": "OTHER"}},
		"the same, synced again": {func(m *mounted) error {
			m.Inject(faultfs.Fault{Op: faultfs.Sync, Errno: syscall.EIO})
			if err := m.at("a", 0, "new", true); !errors.Is(err, syscall.EIO) {
				return err
			}
			m.Heal()
			return m.at("a", 3, "", true)
		}, map[string]string{"a": "old", "b": "other"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, 1<<20)
			m.must(errors.Join(m.at("a", 0, "old", true), m.at("b", 0, "other", true), m.syncDir()))
			m.must(tt.do(m))
			if diff := cmp.Diff(tt.want, m.cut(nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// With chance, each page is the old or the new one, and over the seeds both occur.
func TestCutKeepsAnyPart(t *testing.T) {
	const pages = 8
	fill := func(b byte) string { return string(bytes.Repeat([]byte{b}, pages*4096)) }
	seen := map[string]int{}
	for seed := range uint64(20) {
		m := mount(t, 1<<20)
		m.must(errors.Join(m.at("a", 0, fill('o'), true), m.syncDir()))
		m.must(errors.Join(m.at("a", 0, fill('n'), false), m.at("b", 0, "x", true)))
		files := m.cut(rand.New(rand.NewPCG(seed, 0)))
		if len(files["a"]) != pages*4096 {
			t.Fatalf("%d bytes are left", len(files["a"]))
		}
		for page := range slices.Chunk([]byte(files["a"]), 4096) {
			if !bytes.Equal(page, bytes.Repeat(page[:1], 4096)) {
				t.Fatal("a page is torn")
			}
			seen["page "+string(page[0])]++
		}
		if _, ok := files["b"]; ok {
			seen["name"]++
		}
	}
	if seen["page o"] == 0 || seen["page n"] == 0 || seen["name"] == 0 || seen["name"] == 20 {
		t.Errorf("%v: not everything occurs", seen)
	}
}

func TestCutIsReproducible(t *testing.T) {
	var first map[string]string
	for range 2 {
		m := mount(t, 1<<20)
		m.must(m.syncDir())
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			m.must(m.at(name, 0, string(bytes.Repeat([]byte(name), 9*4096)), false))
		}
		left := m.cut(rand.New(rand.NewPCG(5, 0)))
		if first == nil {
			first = left
		} else if diff := cmp.Diff(first, left); diff != "" {
			t.Error(diff)
		}
	}
}

// What hangs holds up nothing else.
func TestHang(t *testing.T) {
	m := mount(t, 64<<10)
	m.Inject(faultfs.Fault{Op: faultfs.Sync, Glob: "a", Hang: true})
	synced := make(chan error)
	go func() { synced <- m.at("a", 0, "x", true) }()
	for m.Struck() == 0 {
		runtime.Gosched()
	}
	m.must(m.at("b", 0, "x", true))
	select {
	case err := <-synced:
		t.Errorf("it did not hang: %v", err)
	default:
	}
	m.Heal()
	m.must(<-synced)
}

func TestFaults(t *testing.T) {
	m := mount(t, 64<<10)
	m.Inject(faultfs.Fault{Op: faultfs.Write, Glob: "*.seg", After: 2, Errno: syscall.EIO})
	for n, want := range []error{nil, nil, syscall.EIO, syscall.EIO} {
		if err := m.at("a.seg", 0, "x", false); !errors.Is(err, want) {
			t.Errorf("write %d: %v, want %v", n, err, want)
		}
	}
	m.must(m.at("b", 0, "x", true))
	if n := m.Heal(); n != 2 {
		t.Errorf("%d operations failed, want 2", n)
	}
	m.must(m.at("a.seg", 0, "x", true))

	large := string(make([]byte, 60<<10))
	if err := m.at("large", 0, large, false); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("more than the volume holds: %v", err)
	}
	m.must(os.Remove(m.path("b")))
	m.SetCapacity(128 << 10)
	m.must(m.at("large", 0, large, true))
	// The kernel lets go of a file some time after it was closed.
	for end := time.Now().Add(10 * time.Second); m.Used() != 64<<10; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are used", m.Used())
		}
	}
}

// Who runs a server is not always who mounts its volume.
func TestGiveTo(t *testing.T) {
	dir, f := t.TempDir(), faultfs.New(1<<20)
	want := uint32(os.Geteuid())
	if want == 0 {
		want = 1234
		f.GiveTo(want, want)
	}
	if err := f.Mount(dir); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Unmount(); err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
		t.Errorf("the file is %d's, want %d's", got, want)
	}
}
