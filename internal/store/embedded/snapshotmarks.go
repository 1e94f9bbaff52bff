package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/porter-dev/audit-operator/internal/store"
)

// marksFile holds the marks, in the folder of the snapshots. A backup leaves it
// out: what was certain of a cluster is not certain of the one it is restored in.
const marksFile = "marks.json"

func (n *snapshots) loadMarks() error {
	n.marks = nil
	data, err := os.ReadFile(filepath.Join(n.dir, marksFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, &n.marks)
	}
	if err != nil {
		return fmt.Errorf("read the marks of snapshots: %w", err)
	}
	return nil
}

// setMarks makes marks durable, and then those that there are.
func (n *snapshots) setMarks(marks []store.SnapshotMark) error {
	data, err := json.Marshal(marks)
	if err != nil {
		return err
	}
	path, err := n.writeTemporary("marks", func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	defer os.Remove(path)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Rename(path, filepath.Join(n.dir, marksFile)), syncDir(n.dir)); err != nil {
		return err
	}
	n.marks = marks
	return nil
}

// MarkSnapshot implements store.Snapshots.
func (s *Store) MarkSnapshot(_ context.Context, mark store.SnapshotMark) error {
	return s.changeMarks(func(marks []store.SnapshotMark) []store.SnapshotMark {
		for _, m := range marks {
			if m.Kind == mark.Kind && m.ID == mark.ID {
				return marks
			}
		}
		return append(marks, mark)
	})
}

// UnmarkSnapshots implements store.Snapshots.
func (s *Store) UnmarkSnapshots(_ context.Context, kind store.MarkKind, ids ...string) error {
	gone := map[string]bool{}
	for _, id := range ids {
		gone[id] = true
	}
	return s.changeMarks(func(marks []store.SnapshotMark) []store.SnapshotMark {
		var left []store.SnapshotMark
		for _, m := range marks {
			if m.Kind != kind || !gone[m.ID] {
				left = append(left, m)
			}
		}
		return left
	})
}

// changeMarks replaces the marks by what change makes of a copy of them.
func (s *Store) changeMarks(change func([]store.SnapshotMark) []store.SnapshotMark) error {
	if err := s.calls.Enter(); err != nil {
		return fmt.Errorf("mark a snapshot: %w", err)
	}
	defer s.calls.Leave()
	n := &s.snapshots
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := change(append([]store.SnapshotMark(nil), n.marks...))
	if len(changed) == len(n.marks) {
		return nil
	}
	if err := n.setMarks(changed); err != nil {
		if errors.Is(markVolume(err), errVolume) {
			err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		return fmt.Errorf("mark a snapshot: %w", err)
	}
	return nil
}

// SnapshotMarks implements store.Snapshots.
func (s *Store) SnapshotMarks(context.Context) ([]store.SnapshotMark, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("list the marks of snapshots: %w", err)
	}
	defer s.calls.Leave()
	n := &s.snapshots
	n.mu.RLock()
	defer n.mu.RUnlock()
	return append([]store.SnapshotMark(nil), n.marks...), nil
}
