package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// snapshots keeps each snapshot as two files. The manifest's name appears
// last and goes first, so it alone says whether there is a snapshot.
type snapshots struct {
	dir string
	mu  sync.RWMutex // held while names change
	all map[string]store.Manifest
	// order is where they are in the order of all, and places in that of those
	// of their namespace: the newest first.
	order  positions
	places map[snapshotPlace]*positions
	sizes  map[string]int64 // what each takes, by ID
	marks  []store.SnapshotMark
	space  space
}

// snapshotPlace is whose readers may read a snapshot.
type snapshotPlace struct{ cluster, namespace string }

// positions are sorted, the newest first.
type positions []store.SnapshotPosition

func (p *positions) add(at store.SnapshotPosition) {
	i, _ := slices.BinarySearchFunc(*p, at, store.SnapshotPosition.Compare)
	*p = slices.Insert(*p, i, at)
}

func (p *positions) remove(at store.SnapshotPosition) {
	if i, found := slices.BinarySearchFunc(*p, at, store.SnapshotPosition.Compare); found {
		*p = slices.Delete(*p, i, i+1)
	}
}

// first returns no more than limit of those that come after a position.
func (p *positions) first(before *store.SnapshotPosition, limit int) positions {
	if p == nil {
		return nil
	}
	rest := *p
	if before != nil {
		i, found := slices.BinarySearchFunc(rest, *before, store.SnapshotPosition.Compare)
		if found {
			i++
		}
		rest = rest[i:]
	}
	return rest[:min(limit, len(rest))]
}

// load reads the manifests and removes what a crash left half made.
func (n *snapshots) load(dir string) error {
	n.dir, n.all, n.order, n.places = dir, map[string]store.Manifest{}, nil, map[snapshotPlace]*positions{}
	n.sizes = map[string]int64{}
	if err := n.loadMarks(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	for _, entry := range entries {
		if id, ok := strings.CutSuffix(entry.Name(), ".json"); ok && validSnapshotID(id) {
			data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				return fmt.Errorf("read the manifest of snapshot %s: %w", id, err)
			}
			var m store.Manifest
			if err := json.Unmarshal(data, &m); err != nil {
				return fmt.Errorf("read the manifest of snapshot %s: %w", id, err)
			}
			size := n.sizeOf(m.ID)
			n.space.keep(snapshotPlace{m.Cluster, m.Namespace}, size)
			n.add(m, size)
		}
	}
	for _, entry := range entries {
		id, body := strings.CutSuffix(strings.TrimSuffix(entry.Name(), ".zst"), plainBody)
		if _, whole := n.all[id]; body && !whole || strings.HasSuffix(entry.Name(), ".tmp") {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("remove half a snapshot: %w", err)
			}
		}
	}
	return nil
}

// add takes in a snapshot whose size is accounted for.
func (n *snapshots) add(m store.Manifest, size int64) {
	n.all[m.ID] = m
	n.sizes[m.ID] = size
	n.order.add(m.Position())
	place := snapshotPlace{m.Cluster, m.Namespace}
	if n.places[place] == nil {
		n.places[place] = &positions{}
	}
	n.places[place].add(m.Position())
}

func (n *snapshots) forget(id string) {
	m, ok := n.all[id]
	if !ok {
		return
	}
	delete(n.all, id)
	n.order.remove(m.Position())
	place := snapshotPlace{m.Cluster, m.Namespace}
	n.space.keep(place, -n.sizes[id])
	delete(n.sizes, id)
	n.places[place].remove(m.Position())
	if len(*n.places[place]) == 0 {
		delete(n.places, place)
	}
}

// page returns the newest that the scope covers, of those after a position. It
// looks at those of the scope's namespaces alone.
func (n *snapshots) page(scope query.Scope, before *store.SnapshotPosition, limit int) []store.Manifest {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var found positions
	if scope.IsClusterWide() {
		found = n.order.first(before, limit)
	} else {
		cluster, namespaces := scope.Limits()
		for _, namespace := range namespaces {
			taken := n.places[snapshotPlace{cluster, namespace.Name}].first(before, limit)
			// They come newest first: what is of an earlier namespace comes last.
			end := slices.IndexFunc(taken, func(p store.SnapshotPosition) bool { return p.TakenAt.Before(namespace.Since) })
			if end >= 0 {
				taken = taken[:end]
			}
			found = append(found, taken...)
		}
		slices.SortFunc(found, store.SnapshotPosition.Compare)
		found = found[:min(limit, len(found))]
	}
	manifests := make([]store.Manifest, len(found))
	for i, at := range found {
		manifests[i] = clone(n.all[at.ID])
	}
	return manifests
}

func (n *snapshots) path(id, extension string) string { return filepath.Join(n.dir, id+extension) }

// get returns a manifest that the scope covers.
func (n *snapshots) get(scope query.Scope, id string) (store.Manifest, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	m, ok := n.all[id]
	if !ok || !scope.Covers(m.Cluster, m.Namespace, m.TakenAt) {
		return store.Manifest{}, store.ErrNotFound
	}
	return clone(m), nil
}

func (n *snapshots) has(id string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.all[id]
	return ok
}

func (n *snapshots) count() int {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.all)
}

// taken returns when each snapshot was taken, by ID.
func (n *snapshots) taken() map[string]time.Time {
	n.mu.RLock()
	defer n.mu.RUnlock()
	taken := make(map[string]time.Time, len(n.all))
	for id := range n.all {
		taken[id] = n.all[id].TakenAt
	}
	return taken
}

// list returns the manifests that are wanted.
func (n *snapshots) list(wanted func(*store.Manifest) bool) []store.Manifest {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var found []store.Manifest
	for _, m := range n.all {
		if wanted(&m) {
			found = append(found, clone(m))
		}
	}
	return found
}

// clone gives a caller maps of its own.
func clone(m store.Manifest) store.Manifest {
	if m.Run != nil {
		run := *m.Run
		m.Run = &run
	}
	m.CountsByType = maps.Clone(m.CountsByType)
	m.CountsByStatusClass = maps.Clone(m.CountsByStatusClass)
	return m
}

// validSnapshotID reports whether an ID is 32 lower-case hexadecimal digits,
// which also makes it safe as a file name.
func validSnapshotID(id string) bool {
	if len(id) != 32 {
		return false
	}
	for i := range id {
		if _, ok := hexDigit(id[i]); !ok {
			return false
		}
	}
	return true
}

// Snapshot implements store.Snapshots.
func (s *Store) Snapshot(_ context.Context, scope query.Scope, id string) (store.Manifest, error) {
	if err := s.calls.Enter(); err != nil {
		return store.Manifest{}, fmt.Errorf("snapshot: %w", err)
	}
	defer s.calls.Leave()
	m, err := s.snapshots.get(scope, id)
	if err != nil {
		return store.Manifest{}, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return m, nil
}

// OpenSnapshot implements store.Snapshots. What was opened stays readable when
// the snapshot is deleted.
func (s *Store) OpenSnapshot(_ context.Context, scope query.Scope, id string) (io.ReadCloser, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	defer s.calls.Leave()
	if _, err := s.snapshots.get(scope, id); err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	file, err := s.snapshots.open(id)
	if errors.Is(err, fs.ErrNotExist) { // deleted since
		return nil, fmt.Errorf("open snapshot %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return file, nil
}

// ListSnapshots implements store.Snapshots.
func (s *Store) ListSnapshots(ctx context.Context, scope query.Scope, req store.ListSnapshotsRequest) ([]store.Manifest, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer s.calls.Leave()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	return s.snapshots.page(scope, req.Before, max(0, min(req.Limit, store.MaxPage))), nil
}

// SnapshotsOf implements store.Snapshots.
func (s *Store) SnapshotsOf(_ context.Context, uid string) ([]store.Manifest, error) {
	if err := s.calls.Enter(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer s.calls.Leave()
	of := s.snapshots.list(func(m *store.Manifest) bool { return m.Owner.UID == uid })
	slices.SortFunc(of, func(a, b store.Manifest) int { return a.Position().Compare(b.Position()) })
	return of, nil
}

// DeleteSnapshot implements store.Snapshots.
func (s *Store) DeleteSnapshot(_ context.Context, id string) error {
	if err := s.calls.Enter(); err != nil {
		return fmt.Errorf("delete snapshot: %w", err)
	}
	defer s.calls.Leave()
	if !validSnapshotID(id) {
		return nil // there is none
	}
	n := &s.snapshots
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, extension := range []string{manifestFile, packedBody, plainBody} {
		if err := os.Remove(n.path(id, extension)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete snapshot %s: %w", id, err)
		}
		n.forget(id)
	}
	return syncDir(n.dir)
}
