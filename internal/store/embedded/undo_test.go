package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
)

// FuzzUndo damages what is kept of a checkpoint, in a file that a power cut may
// leave in any state: it is used whole or not at all.
func FuzzUndo(f *testing.F) {
	headers, blocks := bytes.Repeat([]byte{1}, undoHeaders), bytes.Repeat([]byte{2}, 2*undoBlock)
	dir := f.TempDir()
	database := filepath.Join(dir, DatabaseFile)
	before := append(bytes.Clone(headers), blocks...)
	if err := os.WriteFile(database, before, 0o600); err != nil {
		f.Fatal(err)
	}
	u, err := openUndo(dir)
	if err == nil {
		err = u.write(headers, []int64{0, 1, 7}) // there is no block 7 yet
	}
	if err != nil {
		f.Fatal(err)
	}
	if err := u.close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, undoFile))
	if err != nil {
		f.Fatal(err)
	}
	torn := bytes.Clone(before)
	clear(torn[undoHeaders+4096 : undoHeaders+8192])
	f.Add(uint32(0), byte(0), uint32(len(whole)))
	f.Add(uint32(undoHeaders), byte(1), uint32(len(whole)))
	f.Add(uint32(0), byte(0), uint32(undoHeaders+4))
	f.Add(uint32(0), byte(0), uint32(3))
	f.Fuzz(func(t *testing.T, at uint32, flip byte, length uint32) {
		kept := bytes.Clone(whole)
		kept[int(at)%len(kept)] ^= flip
		kept = kept[:min(int(length), len(kept))]
		dir := t.TempDir()
		for name, content := range map[string][]byte{DatabaseFile: torn, undoFile: kept} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := undoCheckpoint(dir, logr.Discard()); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(dir, DatabaseFile))
		if err != nil {
			t.Fatal(err)
		}
		want := torn
		if bytes.Equal(kept, whole) {
			want = before
		}
		if !bytes.Equal(after, want) {
			t.Errorf("a file that differs in %d bits or has %d of %d bytes was used in part", flip, len(kept), len(whole))
		}
	})
}
