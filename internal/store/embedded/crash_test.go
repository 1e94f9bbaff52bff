package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// The tests of crashes run this test binary as another process, told by the
// environment what to be.
const (
	childEnv = "EMBEDDED_TEST_CHILD"
	dirEnv   = "EMBEDDED_TEST_DIR"
	seedEnv  = "EMBEDDED_TEST_SEED"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "append":
		appendForever(os.Getenv(dirEnv), os.Getenv(seedEnv))
	case "append and close":
		end(appendAndClose(os.Getenv(dirEnv), os.Getenv(seedEnv)))
	case "full":
		end(fillVolume(os.Getenv(dirEnv)))
	case "backup-full":
		end(backUpFull(os.Getenv(dirEnv)))
	}
	os.Exit(m.Run())
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, role, dir, seed string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role, dirEnv+"="+dir, seedEnv+"="+seed)
	cmd.Stderr = t.Output()
	return cmd
}

// appendForever appends from several goroutines and prints the IDs of each
// acknowledged batch on a line.
func appendForever(dir, seed string) {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			n, _ := strconv.Atoi(seed)
			m := newMaker(uint64(100*n + i))
			for {
				batch := m.batch(50)
				if _, err := s.Append(context.Background(), batch); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				acknowledge(batch)
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func acknowledge(batch store.Batch) {
	var ids []string
	for _, e := range batch.Events {
		ids = append(ids, e.ID.String())
	}
	line, _ := json.Marshal(ids)
	os.Stdout.Write(append(line, '\n'))
}

// appendAndClose appends a little and closes the store, which folds DuckDB's
// log into its file.
func appendAndClose(dir, seed string) error {
	s, err := Open(context.Background(), Options{Dir: dir, Threads: 1})
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(seed)
	for m := range 3 {
		batch := newMaker(uint64(1000 + 10*n + m)).batch(300)
		if _, err := s.Append(context.Background(), batch); err != nil {
			return err
		}
		acknowledge(batch)
	}
	return s.Close()
}

// TestKill kills a process in the middle of appends, several times over the
// same directory: what it acknowledged is stored, nothing is twice, and the
// raw of everything stored is readable.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 4 {
		appendAndKill(t, dir, round, 20+17*round, acknowledged)
		checkStored(t, dir, acknowledged)
	}
}

// appendAndKill runs a process that appends, kills it after a number of
// batches, and adds what it acknowledged.
func appendAndKill(t *testing.T, dir string, seed, batches int, acknowledged map[string]bool) {
	t.Helper()
	follow(t, child(t, "append", dir, fmt.Sprint(seed)), batches, acknowledged)
}

// follow runs a child and adds what it acknowledges. It kills it after a number
// of batches, if it has not ended by then.
func follow(t *testing.T, cmd *exec.Cmd, batches int, acknowledged map[string]bool) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		if n == batches {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		if json.Unmarshal(lines.Bytes(), &ids) != nil {
			continue // cut off by the kill
		}
		for _, id := range ids {
			acknowledged[id] = true
		}
	}
	_ = cmd.Wait() // killed
}

// checkStored opens the store and verifies all of it.
func checkStored(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	s := mustOpen(t, Options{Dir: dir})
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	stored := map[string]bool{}
	if err := s.Verify(t.Context(), func(id audit.ID) error {
		if stored[id.String()] {
			t.Errorf("%s is stored twice", id)
		}
		stored[id.String()] = true
		return nil
	}); err != nil {
		t.Error(err)
	}
	for id := range acknowledged {
		if !stored[id] {
			t.Errorf("%s was acknowledged and is not stored", id)
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged")
	}
}

// TestVolumeFull runs into a limit on the size of files, as into a full
// volume, in a process of its own.
func TestVolumeFull(t *testing.T) {
	if err := child(t, "full", t.TempDir(), "").Run(); err != nil {
		t.Errorf("the store on a full volume: %v", err)
	}
}

func fillVolume(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	m := newMaker(1)
	// The first limit stops DuckDB's log, the second the segment.
	for _, limit := range []uint64{1 << 20, 3 << 18} {
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: old.Max}); err != nil {
			return err
		}
		var full store.Batch
		for {
			full = m.batch(400)
			if _, err = s.Append(context.Background(), full); err != nil {
				break
			}
		}
		if !errors.Is(err, store.ErrUnavailable) {
			return fmt.Errorf("Append on a full volume = %w, want ErrUnavailable", err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			return err
		}
		if err := s.Ready(context.Background()); err != nil {
			return fmt.Errorf("Ready after there is space again: %w", err)
		}
		got, err := s.Append(context.Background(), full)
		if err != nil || got.Stored != 400 {
			return fmt.Errorf("Append after there is space again = %+v, %w", got, err)
		}
		for _, want := range full.Events[:5] {
			e, err := s.Event(context.Background(), query.ClusterWide(), want.ID)
			if err != nil || !bytes.Equal(e.Raw, want.Raw) {
				return fmt.Errorf("Event after there is space again: %w", err)
			}
		}
	}
	return s.Close()
}
