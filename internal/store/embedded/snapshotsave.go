package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/porter-dev/audit-operator/internal/store"
)

// SaveSnapshot implements store.Snapshots.
func (s *Store) SaveSnapshot(ctx context.Context, id string, space store.SnapshotSpace, write func(io.Writer) (store.Manifest, error)) error {
	if err := s.calls.Enter(); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	defer s.calls.Leave()
	if !validSnapshotID(id) {
		return fmt.Errorf("save snapshot: ID %q is not 32 lower-case hexadecimal digits", id)
	}
	if err := s.snapshots.save(ctx, id, space, write); err != nil {
		if errors.Is(markVolume(err), errVolume) {
			err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		return fmt.Errorf("save snapshot %s: %w", id, err)
	}
	return nil
}

func (n *snapshots) save(ctx context.Context, id string, space store.SnapshotSpace, write func(io.Writer) (store.Manifest, error)) (err error) {
	if n.has(id) {
		return store.ErrExists
	}
	metered := meter{space: &n.space, of: space}
	defer func() {
		if err != nil {
			metered.release()
		}
	}()
	if err := metered.charge(store.SnapshotOverhead); err != nil {
		return err
	}
	body, manifest, err := n.writeBody(id, &metered, write)
	defer os.Remove(body)
	if err != nil {
		return err
	}
	if manifest.ID != id {
		return fmt.Errorf("its manifest is of %q", manifest.ID)
	}
	if err := space.Check(&manifest); err != nil {
		return err
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := metered.charge(int64(len(data))); err != nil {
		return err
	}
	// Kept as it will be read, apart from the caller's maps.
	var kept store.Manifest
	if err := json.Unmarshal(data, &kept); err != nil {
		return err
	}
	description, err := n.writeTemporary(id, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	defer os.Remove(description)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.all[id]; ok {
		return store.ErrExists
	}
	if err := os.Rename(body, n.path(id, packedBody)); err != nil {
		return err
	}
	if err := os.Rename(description, n.path(id, manifestFile)); err != nil {
		return errors.Join(err, os.Remove(n.path(id, packedBody)))
	}
	if err := syncDir(n.dir); err != nil {
		return errors.Join(err, os.Remove(n.path(id, manifestFile)), os.Remove(n.path(id, packedBody)))
	}
	n.add(kept, metered.bytes)
	return nil
}

// writeBody writes a compressed body into a temporary file and returns its
// path, also on an error.
func (n *snapshots) writeBody(id string, metered *meter, write func(io.Writer) (store.Manifest, error)) (path string, m store.Manifest, err error) {
	path, err = n.writeTemporary(id, func(w io.Writer) error {
		metered.Writer = w
		return packTo(metered, func(w io.Writer) (err error) {
			m, err = write(w)
			return err
		})
	})
	return path, m, err
}

// writeTemporary writes and syncs a file that load would remove, and returns
// its path, also on an error.
func (n *snapshots) writeTemporary(id string, write func(io.Writer) error) (path string, err error) {
	file, err := os.CreateTemp(n.dir, id+"-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriterSize(file, 64<<10)
	if err := write(buffered); err != nil {
		return file.Name(), err
	}
	return file.Name(), errors.Join(buffered.Flush(), file.Sync())
}
