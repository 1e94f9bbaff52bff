package maintenance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// served runs Serve on a directory until the test, or stop, ends it.
func served(t *testing.T, dir string, commands Commands) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, dir, commands, logr.Discard()) }()
	deadline := time.Now().Add(10 * time.Second)
	for { // until it listens
		conn, err := dial(t.Context(), dir)
		if err == nil {
			_ = conn.Close()
			break
		}
		if len(ended) > 0 || time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func backupOf(s *embedded.Store) Commands {
	return Commands{Backup: func(ctx context.Context) (Copy, error) { return s.Backup(ctx) }}
}

// TestBackup gets a backup through the socket, also where the path is longer
// than a socket's address, and a socket was left.
func TestBackup(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long", 40))} {
		s := embeddedtest.Open(t, embedded.Options{Dir: dir})
		if _, err := RequestBackup(t.Context(), dir); !errors.Is(err, ErrNoManager) {
			t.Errorf("without a manager: %v", err)
		}
		stop := served(t, dir, backupOf(s))
		from, err := RequestBackup(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from.Body)
		if err := errors.Join(err, from.Body.Close()); err != nil || int64(len(content)) != from.Size {
			t.Errorf("read %d bytes of %d, %v", len(content), from.Size, err)
		}
		if _, err := embedded.VerifyBackup(t.Context(), bytes.NewReader(content), nil); err != nil {
			t.Error(err)
		}
		for path, want := range map[string]fs.FileMode{SocketOf(dir): 0o600 | fs.ModeSocket, filepath.Dir(SocketOf(dir)): 0o700 | fs.ModeDir} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s has mode %v (%v), want %v", path, info.Mode(), err, want)
			}
		}
		stop()
		if _, err := os.Lstat(SocketOf(dir)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	}
}

// TestLeftSocket begins where a manager was killed.
func TestLeftSocket(t *testing.T) {
	dir := t.TempDir()
	left, err := listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(left.Close(), os.Chmod(filepath.Dir(SocketOf(dir)), 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := RequestBackup(t.Context(), dir); !errors.Is(err, ErrNoManager) {
		t.Errorf("at a socket that was left: %v", err)
	}
	served(t, dir, Commands{})
	if info, err := os.Stat(filepath.Dir(SocketOf(dir))); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v (%v)", info.Mode(), err)
	}
}

// TestFailures checks that a receiver learns of every failure.
func TestFailures(t *testing.T) {
	failure := errors.New("the volume has too little space")
	dir := t.TempDir()
	stop := served(t, dir, Commands{Backup: func(context.Context) (Copy, error) { return nil, failure }})
	if _, err := RequestBackup(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "the manager answers: "+failure.Error()) {
		t.Errorf("a backup that can't be made = %v", err)
	}
	stop()
	closed := make(chan struct{})
	stop = served(t, dir, Commands{Backup: func(context.Context) (Copy, error) { return &faulty{failure, closed}, nil }})
	if err := readAll(t, dir); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a backup that fails half-way ends with %v", err)
	}
	<-closed
	stop()
	// One that waits is cut off when the manager ends, and when the receiver goes.
	begun := make(chan struct{}, 2)
	stop = served(t, dir, Commands{Backup: func(ctx context.Context) (Copy, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := RequestBackup(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that was cancelled = %v", err)
	}
	go func() { <-begun; stop() }()
	if _, err := RequestBackup(t.Context(), dir); err == nil {
		t.Error("no error when the manager ended")
	}
}

func readAll(t *testing.T, dir string) error {
	t.Helper()
	from, err := RequestBackup(t.Context(), dir)
	if err != nil {
		return err
	}
	defer from.Body.Close()
	_, err = io.Copy(io.Discard, from.Body)
	return err
}

// faulty fails after half of what it promised.
type faulty struct {
	err    error
	closed chan struct{}
}

func (*faulty) Size() int64 { return 2 << 20 }

func (f *faulty) Stream(_ context.Context, w io.Writer) error {
	_, err := w.Write(make([]byte, 1<<20))
	return errors.Join(err, f.err)
}

func (f *faulty) Close() error {
	close(f.closed)
	return nil
}

// TestServeRefused tells why no socket can be made.
func TestServeRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, folderName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), dir, Commands{}, logr.Discard()); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Serve = %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.tar")
	failure := errors.New("failure")
	for _, tt := range []struct {
		content string
		err     error
		want    string
	}{{"first", nil, "first"}, {"half", failure, "first"}, {"second", nil, "second"}} {
		err := WriteFile(path, func(w io.Writer) error {
			_, err := io.WriteString(w, tt.content)
			return errors.Join(err, tt.err)
		})
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.content, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != tt.want {
			t.Errorf("after %s the file holds %q (%v), want %q", tt.content, got, err, tt.want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left (%v)", len(entries), err)
	}
}

// TestProgress reads the lines that are written without a terminal.
func TestProgress(t *testing.T) {
	reader, writer := net.Pipe()
	lines := make(chan string)
	go func() {
		buffer := make([]byte, 200)
		for {
			n, err := reader.Read(buffer)
			if err != nil {
				return
			}
			lines <- string(buffer[:n])
		}
	}()
	p := NewProgress(writer, false, "Waiting for the copy", "Writing", Bytes, 10*time.Millisecond)
	if got := <-lines; !strings.HasPrefix(got, "Waiting for the copy (") {
		t.Errorf("at first: %q", got)
	}
	p.Update(5<<20, 12<<20)
	for got := <-lines; got != "Writing: 5 of 12 MiB\n"; got = <-lines {
		if !strings.HasPrefix(got, "Waiting") {
			t.Fatalf("then: %q", got)
		}
	}
	go func() {
		for range lines { // the last ones
		}
	}()
	p.End()
	_ = reader.Close()
}

// TestProgressBar looks at what a terminal is shown.
func TestProgressBar(t *testing.T) {
	var out lockedBuffer
	p := NewProgress(&out, true, "Waiting for the copy", "Writing", Bytes, time.Hour)
	p.Say("No manager uses %s.", "/data")
	for _, done := range []int64{1, 5 << 20, 12 << 20} {
		p.Update(done, 12<<20)
	}
	p.End()
	for _, want := range []string{"Waiting for the copy", "No manager uses /data.\n", "Writing"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
