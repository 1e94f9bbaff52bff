package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/porter-dev/audit-operator/internal/store"
)

func (c *copier) copySnapshots(ctx context.Context) error {
	here, err := manifests(ctx, c.from)
	if err != nil {
		return err
	}
	there, err := manifests(ctx, c.to)
	if err != nil {
		return err
	}
	known := make(map[string]store.Manifest, len(there))
	for _, m := range there {
		known[m.ID] = m
	}
	slices.SortFunc(here, func(a, b store.Manifest) int { return strings.Compare(a.ID, b.ID) })
	for _, m := range here {
		other, ok := known[m.ID]
		if err := persist(ctx, func() error { return c.copySnapshot(ctx, m, other, ok) }); err != nil {
			return fmt.Errorf("copy snapshot %s: %w", m.ID, err)
		}
	}
	return nil
}

func manifests(ctx context.Context, of store.Holdings) (all []store.Manifest, err error) {
	err = persist(ctx, func() error {
		all, err = of.Manifests(ctx)
		return err
	})
	return all, err
}

// errDigest means that a body is not what its manifest says.
var errDigest = fmt.Errorf("its body %w: it has not the digest of the manifest", store.ErrDamaged)

// copySnapshot copies a snapshot, unless the target has one of its ID.
func (c *copier) copySnapshot(ctx context.Context, m, there store.Manifest, known bool) error {
	s := &c.summary.Snapshots
	if known {
		return c.compareSnapshot(ctx, m, there)
	}
	if c.opts.VerifyOnly {
		s.add(&s.Missing)
		c.problem("snapshot %s is not in the target", m.ID)
		return nil
	}
	space := store.SpaceOf(&m)
	space.Unmetered = true // it was within the bounds of the store that it is of
	err := c.to.SaveSnapshot(ctx, m.ID, space, func(body io.Writer) (store.Manifest, error) {
		return m, c.checkBody(ctx, c.from, m, body)
	})
	switch {
	case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		return nil
	case errors.Is(err, store.ErrExists): // saved meanwhile
		s.add(&s.Present)
		return nil
	case errors.Is(err, store.ErrDamaged):
		s.add(&s.Damaged)
		c.problem("snapshot %s was not copied: %v", m.ID, err)
		return nil
	case err != nil:
		return err
	}
	switch err := c.checkBody(ctx, c.to, m, io.Discard); {
	case errors.Is(err, store.ErrDamaged):
		s.add(&s.Differing)
		c.problem("snapshot %s has another body in the target", m.ID)
		return nil
	case err != nil:
		return err
	}
	s.add(&s.Copied)
	return nil
}

// compareSnapshot compares a snapshot with the target's. Digests cover all of
// it; whether the bodies have them is asked when nothing is copied.
func (c *copier) compareSnapshot(ctx context.Context, m, there store.Manifest) error {
	s := &c.summary.Snapshots
	same := m.Digest == there.Digest && m.ManifestDigest == there.ManifestDigest
	if same && c.opts.VerifyOnly {
		err := c.checkBody(ctx, c.to, there, io.Discard)
		if err != nil && !errors.Is(err, store.ErrDamaged) {
			return err
		}
		same = err == nil
	}
	if !same {
		s.add(&s.Differing)
		c.problem("snapshot %s is another one in the target", m.ID)
		return nil
	}
	s.add(&s.Present)
	return nil
}

// checkBody writes a snapshot's body to w and checks its digest.
func (c *copier) checkBody(ctx context.Context, of store.Holdings, m store.Manifest, w io.Writer) error {
	body, err := of.SnapshotBody(ctx, m.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, sum), body); err != nil {
		return err
	}
	if digestText(sum) != m.Digest {
		return errDigest
	}
	return nil
}
