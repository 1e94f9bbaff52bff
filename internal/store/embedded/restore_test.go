package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// small is an archive as the writer makes it, of content that is no store's.
func small(t testing.TB, header Header, files map[string]string) []byte {
	t.Helper()
	header.Archive, header.Format, header.Version, header.AsOf = max(header.Archive, 1), max(header.Format, 1), "v1", time.Unix(1_700_000_000, 0).UTC()
	names := []string{DatabaseFile, "raw/2026-03-14.seg", "raw/2026-03-15.seg", "snapshots/" + strings.Repeat("0", 32) + ".json"}
	for _, name := range names {
		if content, ok := files[name]; ok {
			header.Files++
			header.Bytes += int64(len(content))
		}
	}
	var out bytes.Buffer
	a, err := newArchiveWriter(&out, &header)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if content, ok := files[name]; ok {
			if err := a.add(name, int64(len(content)), strings.NewReader(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.finish(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func smallFiles() map[string]string {
	segment := packFrame(packFrame(nil, []byte(`{"a":1}`)), bytes.Repeat([]byte("raw"), 700))
	return map[string]string{DatabaseFile: "rows", "raw/2026-03-14.seg": string(segment), "snapshots/" + strings.Repeat("0", 32) + ".json": "{}"}
}

func smallHeader() Header {
	return Header{Days: []DayHeader{{Day: "2026-03-14", Events: 2, RawBytes: int64(len(smallFiles()["raw/2026-03-14.seg"]))}}}
}

// TestEveryByte changes every byte of an archive, cuts it everywhere, and adds
// to it: nothing but the archive itself is taken.
func TestEveryByte(t *testing.T) {
	archive := small(t, smallHeader(), smallFiles())
	if got, err := VerifyBackup(t.Context(), bytes.NewReader(archive), nil); err != nil || len(got.Damaged) > 0 {
		t.Fatalf("the archive itself: %+v, %v", got, err)
	}
	for i := range archive {
		changed := bytes.Clone(archive)
		changed[i] ^= byte(1 + i%255)
		if _, err := VerifyBackup(t.Context(), bytes.NewReader(changed), nil); err == nil {
			t.Errorf("byte %d of %d was changed and the archive was taken", i, len(archive))
		}
		if _, err := VerifyBackup(t.Context(), bytes.NewReader(archive[:i]), nil); !errors.Is(err, ErrNoBackup) || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("cut after %d of %d bytes: %v", i, len(archive), err)
		}
	}
	for _, more := range [][]byte{{0}, {'x'}, make([]byte, 512), archive} {
		if _, err := VerifyBackup(t.Context(), bytes.NewReader(append(bytes.Clone(archive), more...)), nil); !errors.Is(err, ErrNoBackup) {
			t.Errorf("with %d bytes more: %v", len(more), err)
		}
	}
	if _, err := VerifyBackup(t.Context(), iotest.OneByteReader(bytes.NewReader(archive)), nil); err != nil {
		t.Errorf("byte by byte: %v", err)
	}
	failure := errors.New("failure")
	if _, err := VerifyBackup(t.Context(), io.MultiReader(bytes.NewReader(archive[:3000]), iotest.ErrReader(failure)), nil); !errors.Is(err, failure) || errors.Is(err, ErrNoBackup) {
		t.Errorf("a failing reader: %v", err)
	}
}

// TestRestoreRefuses restores damaged backups of a real store: each attempt
// says what is wrong and leaves nothing.
func TestRestoreRefuses(t *testing.T) {
	archive := backUp(t, filled(t, 300))
	random := rand.New(rand.NewPCG(1, 2))
	parent := t.TempDir()
	for i := range 30 {
		changed := bytes.Clone(archive)
		at := random.IntN(len(archive))
		if i%2 == 0 {
			changed = changed[:at]
		} else {
			changed[at] ^= byte(1 + random.IntN(255))
		}
		refused(t, filepath.Join(parent, "data"), changed, ErrNoBackup)
	}
	empty := filepath.Join(parent, "empty")
	if err := os.MkdirAll(filepath.Join(empty, "lost+found"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(archive[:len(archive)/2]), Options{Dir: empty}, nil); !errors.Is(err, ErrNoBackup) {
		t.Errorf("half a backup = %v", err)
	}
	if left := readFiles(t, empty); len(left) != 1 { // lock
		t.Errorf("%d files are left", len(left))
	}
	// What failed does not hinder the next attempt.
	if _, err := Restore(t.Context(), bytes.NewReader(archive), Options{Dir: empty}, nil); err != nil {
		t.Error(err)
	}
	closed(t, mustOpen(t, Options{Dir: empty}))
}

func refused(t *testing.T, dir string, archive []byte, want error) {
	t.Helper()
	if _, err := Restore(t.Context(), bytes.NewReader(archive), Options{Dir: dir}, nil); err == nil || !errors.Is(err, want) {
		t.Errorf("Restore = %v, want %v", err, want)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was left: %v", dir, err)
	}
}

// TestRestoreInto restores into directories that are not empty.
func TestRestoreInto(t *testing.T) {
	archive := backUp(t, filled(t, 1))
	running := mustOpen(t, Options{Dir: t.TempDir()})
	defer closed(t, running)
	stopped := t.TempDir()
	closed(t, mustOpen(t, Options{Dir: stopped}))
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		running.opts.Dir: "a store is there already", stopped: "a store is there already", other: "it holds notes.txt",
		filepath.Join(other, "notes.txt"): "not a directory", filepath.Join(other, "a?b"): "question mark",
	} {
		before := readFiles(t, filepath.Dir(dir))
		if _, err := Restore(t.Context(), bytes.NewReader(archive), Options{Dir: dir}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Restore = %v, want that it says %q", dir, err, want)
		}
		if d := cmp.Diff(before, readFiles(t, filepath.Dir(dir))); d != "" {
			t.Errorf("%s: a refused restore changed (-before +after):\n%.1000s", dir, d)
		}
	}
}

// TestRestoreKilled leaves what a killed restore leaves: it is no store, and
// the next attempt starts over.
func TestRestoreKilled(t *testing.T) {
	source := filled(t, 20)
	archive := backUp(t, source)
	dir := t.TempDir()
	reader, writer := io.Pipe()
	result := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := Restore(ctx, reader, Options{Dir: dir}, nil)
		result <- err
	}()
	if _, err := writer.Write(archive[:len(archive)*3/4]); err != nil {
		t.Fatal(err)
	}
	// As it lies there now, it is what a kill would leave.
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "data"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(archive), Options{Dir: dir}, nil); err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Errorf("a restore beside another = %v", err)
	}
	cancel()
	writer.Close()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled restore = %v", err)
	}

	killed := Options{Dir: filepath.Join(copied, "data")}
	if _, err := Open(t.Context(), killed); err == nil || !strings.Contains(err.Error(), "did not finish") {
		t.Errorf("opening half a store = %v", err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(archive), killed, nil); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, killed)
	defer closed(t, s)
	equal(t, readEverything(t, source, "bench"), readEverything(t, s, "bench"))
}

// TestBackupOfDamage backs up a store whose raws are damaged: the backup holds
// what there is, and a restore says what is not.
func TestBackupOfDamage(t *testing.T) {
	s := filled(t, 20)
	var want []string
	for day := range s.writer.sizes {
		path := segmentPath(s.opts.Dir, day)
		name := segmentName(dayStart(day).Format(time.DateOnly))
		switch len(want) {
		case 0:
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := os.Truncate(path, s.writer.sizes[day]-1); err != nil {
				t.Fatal(err)
			}
		default:
			content := []byte(readFiles(t, filepath.Dir(path))[filepath.Base(path)])
			content[len(content)/2] ^= 1
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, name)
	}
	got, err := Restore(t.Context(), bytes.NewReader(backUp(t, s)), Options{Dir: filepath.Join(t.TempDir(), "data")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range got.Damaged {
		seen[name] = true
	}
	if len(seen) != 3 || !seen[want[0]] || !seen[want[1]] || !seen[want[2]] {
		t.Errorf("Damaged = %v, want %v", got.Damaged, want)
	}
}

// TestRestoreOther gives Restore what is not a backup of this product's.
func TestRestoreOther(t *testing.T) {
	files := smallFiles()
	for name, tt := range map[string]struct {
		archive []byte
		want    string
	}{
		"nothing":          {nil, "cut off after 0 bytes"},
		"text":             {[]byte(strings.Repeat("error: unable to upgrade connection\n", 20)), "not of a tar archive"},
		"a newer layout":   {small(t, Header{Archive: 2}, files), "layout 2, written by version v1"},
		"a newer format":   {small(t, Header{Format: formatVersion + 1}, files), fmt.Sprintf("format %d, written by version v1", formatVersion+1)},
		"no database":      {small(t, smallHeader(), map[string]string{"raw/2026-03-14.seg": ""}), `"raw/2026-03-14.seg" does not belong after ""`},
		"no date":          {small(t, Header{Days: []DayHeader{{Day: "x; DROP TABLE days"}}}, files), `"x; DROP TABLE days" as a day`},
		"no such date":     {small(t, Header{Days: []DayHeader{{Day: "2026-02-30"}}}, files), `"2026-02-30" as a day`},
		"a day twice":      {small(t, Header{Days: []DayHeader{{Day: "2026-03-14"}, {Day: "2026-03-14"}}}, files), `as a day after "2026-03-14"`},
		"a false database": {small(t, smallHeader(), files), "database"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(t.Context(), bytes.NewReader(tt.archive), Options{Dir: dir, Version: "v0"}, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Restore = %v, want that it says %q", name, err, tt.want)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the directory was left", name)
		}
	}
}

// TestRestoreRows refuses a backup whose database holds other rows than its
// header says, though every checksum is right.
func TestRestoreRows(t *testing.T) {
	s := filled(t, 5)
	for name, change := range map[string]func(*Header){
		"events":     func(h *Header) { h.Days[1].Events++ },
		"days":       func(h *Header) { h.Days = h.Days[1:] },
		"raws":       func(h *Header) { h.Days[1].RawBytes-- },
		"sources":    func(h *Header) { h.Sources++ },
		"quarantine": func(h *Header) { h.Quarantined-- },
	} {
		b, err := s.Backup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		change(&b.Header)
		archive := streamed(t, b)
		if _, err := VerifyBackup(t.Context(), bytes.NewReader(archive), nil); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { refused(t, filepath.Join(t.TempDir(), "data"), archive, ErrNoBackup) })
	}
}

// Whatever is given to it, reading a backup neither panics nor takes what the
// writer would have written otherwise.
func FuzzArchive(f *testing.F) {
	archive := small(f, smallHeader(), smallFiles())
	f.Add(archive, uint32(0), byte(0))
	f.Add(archive, uint32(600), byte(1))
	f.Add(archive[:1500], uint32(3), byte(0xff))
	f.Add(small(f, Header{}, map[string]string{DatabaseFile: ""}), uint32(1024), byte(7))
	f.Fuzz(func(t *testing.T, archive []byte, at uint32, flip byte) {
		_, err := VerifyBackup(t.Context(), bytes.NewReader(archive), nil)
		if err != nil || flip == 0 {
			return
		}
		archive = bytes.Clone(archive)
		archive[int(at)%len(archive)] ^= flip
		if _, err := VerifyBackup(t.Context(), bytes.NewReader(archive), nil); err == nil {
			t.Errorf("byte %d was changed and the archive was taken", int(at)%len(archive))
		}
	})
}

// FuzzFrameChecker compares it with the reader of frames.
func FuzzFrameChecker(f *testing.F) {
	whole := packFrame(packFrame(nil, []byte("one")), []byte("two"))
	f.Add(whole, uint8(1))
	f.Add(whole[:len(whole)-1], uint8(5))
	f.Add([]byte{}, uint8(3))
	f.Fuzz(func(t *testing.T, segment []byte, piece uint8) {
		var c frameChecker
		for rest := segment; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			c.add(rest[:n])
			rest = rest[n:]
		}
		if want := framesWhole(segment); c.whole() != want {
			t.Errorf("whole = %t, want %t", c.whole(), want)
		}
	})
}

// framesWhole walks a segment by its headers.
func framesWhole(segment []byte) bool {
	for offset := int64(0); offset < int64(len(segment)); {
		_, err := readFrame(bytes.NewReader(segment), offset)
		if err != nil && !strings.Contains(fmt.Sprint(err), "zstd") && !strings.Contains(fmt.Sprint(err), "magic") {
			return false
		}
		offset += frameHeader + int64(segment[offset+4]) + int64(segment[offset+5])<<8 + int64(segment[offset+6])<<16 + int64(segment[offset+7])<<24
	}
	return true
}
