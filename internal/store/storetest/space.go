package storetest

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const mebibyte = 1 << 20

// fill saves a snapshot whose body takes its size, apart from little.
func (b *bench) fill(t *testing.T, n int, space store.SnapshotSpace, size int) error {
	t.Helper()
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(body) // never fails
	m := manifest(n, b.clock.Now())
	m.Cluster, m.Namespace = space.Cluster, space.Namespace
	return b.SaveSnapshot(t.Context(), m.ID, space, func(w io.Writer) (store.Manifest, error) {
		_, err := w.Write(body)
		return m, err
	})
}

// testSnapshotQuota fills each of the quotas, and expects that nothing but what
// it bounds is refused.
func testSnapshotQuota(t *testing.T, b *bench) {
	b.quota = store.SnapshotQuota{PerNamespace: 4 * mebibyte, Whole: 10 * mebibyte}
	b.reopen(t)
	wide, bills := store.SnapshotSpace{}, store.SnapshotSpace{Cluster: "prod", Namespace: "bills"}
	copied := shop
	copied.Unmetered = true
	var kept []string
	for n, step := range []struct {
		name  string
		space store.SnapshotSpace
		size  int
		quota *store.QuotaError // nil where it is kept
	}{
		{"the first of a namespace", shop, 3 * mebibyte, nil},
		{"more than its quota", shop, 2 * mebibyte, &store.QuotaError{Namespace: "shop", Quota: 4 * mebibyte}},
		{"what is left of it", shop, 3 * mebibyte / 4, nil},
		{"where nothing is left", shop, mebibyte / 3, &store.QuotaError{Namespace: "shop", Quota: 4 * mebibyte}},
		{"of the same name in another cluster", store.SnapshotSpace{Cluster: "staging", Namespace: "shop"}, 3 * mebibyte, nil},
		{"in the cluster-wide tenth", bills, 5 * mebibyte / 2, &store.QuotaError{Quota: 9 * mebibyte}},
		{"what is left to namespaces", bills, 2 * mebibyte, nil},
		{"cluster-wide, more than a tenth", wide, 2 * mebibyte, &store.QuotaError{Quota: 10 * mebibyte}},
		{"cluster-wide, in its tenth", wide, mebibyte, nil},
		{"a copy, whatever the quota", copied, mebibyte, nil},
		{"nothing is left at all", wide, mebibyte / 4, &store.QuotaError{Quota: 10 * mebibyte}},
	} {
		err := b.fill(t, n, step.space, step.size)
		if step.quota == nil {
			if err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			kept = append(kept, snapshotID(n))
			continue
		}
		var passed *store.QuotaError
		if !errors.Is(err, store.ErrQuota) || !errors.As(err, &passed) || *passed != *step.quota {
			t.Errorf("%s: %v, want %v", step.name, err, step.quota)
		}
		b.absent(t, snapshotID(n))
		if n == 3 {
			b.reopen(t) // what is taken is known to the next process
		}
	}
	var listed []string
	for _, m := range b.list(t, query.ClusterWide(), 100) {
		listed = append(listed, m.ID)
	}
	slices.Sort(listed)
	if d := cmp.Diff(kept, listed); d != "" {
		t.Errorf("the snapshots (-want +got):\n%s", d)
	}
}

// testSnapshotQuotaCompressed checks that it is the stored bytes that count.
func testSnapshotQuotaCompressed(t *testing.T, b *bench) {
	b.quota = store.SnapshotQuota{PerNamespace: mebibyte}
	b.reopen(t)
	body := strings.Repeat(`{"action":"application.delete"}`+"\n", 200_000)
	b.save(t, manifest(1, b.clock.Now()), body)
	if got := b.body(t, snapshotID(1)); got != body {
		t.Error("the body is not what was saved")
	}
}

// testSnapshotQuotaWhileWriting checks that a body is cut off once it passes the
// quota: what nobody keeps must not fill the disk meanwhile.
func testSnapshotQuotaWhileWriting(t *testing.T, b *bench) {
	b.quota = store.SnapshotQuota{PerNamespace: 2 * mebibyte}
	b.reopen(t)
	part := make([]byte, mebibyte)
	random := rand.NewChaCha8([32]byte{})
	parts := 0
	err := b.SaveSnapshot(t.Context(), snapshotID(1), shop, func(w io.Writer) (store.Manifest, error) {
		for parts = range 100 {
			_, _ = random.Read(part) // never fails
			if _, err := w.Write(part); err != nil {
				return store.Manifest{}, err
			}
		}
		return manifest(1, b.clock.Now()), nil
	})
	if !errors.Is(err, store.ErrQuota) || parts > 10 {
		t.Errorf("SaveSnapshot after %d MiB = %v, want ErrQuota soon after 2", parts, err)
	}
	b.absent(t, snapshotID(1))
	if err := b.fill(t, 2, shop, mebibyte); err != nil { // what was cut off takes nothing
		t.Errorf("the next one: %v", err)
	}
}

// testSnapshotQuotaConcurrent has many save at once into what two have room for.
func testSnapshotQuotaConcurrent(t *testing.T, b *bench) {
	b.quota = store.SnapshotQuota{PerNamespace: 5 * mebibyte / 2}
	b.reopen(t)
	results := make([]error, 8)
	var group errgroup.Group
	for i := range results {
		group.Go(func() error {
			results[i] = b.fill(t, i+1, shop, mebibyte)
			return nil
		})
	}
	_ = group.Wait() // the results hold the errors
	kept := 0
	for _, err := range results {
		if err == nil {
			kept++
		} else if !errors.Is(err, store.ErrQuota) {
			t.Errorf("SaveSnapshot = %v, want ErrQuota", err)
		}
	}
	// All of them may have been cut off at the same time.
	if listed := b.list(t, query.ClusterWide(), 100); len(listed) != kept || kept > 2 {
		t.Errorf("%d were kept and %d are listed, want at most two", kept, len(listed))
	}
}

// testSnapshotOfAnotherSpace checks that nobody's snapshot counts as another's.
func testSnapshotOfAnotherSpace(t *testing.T, b *bench) {
	for _, space := range []store.SnapshotSpace{{}, {Cluster: "prod", Namespace: "bills"}, {Cluster: "staging", Namespace: "shop"}} {
		m := manifest(1, b.clock.Now())
		if err := b.SaveSnapshot(t.Context(), m.ID, space, func(io.Writer) (store.Manifest, error) { return m, nil }); err == nil {
			t.Errorf("a manifest of %s/%s is kept in the space %+v", m.Cluster, m.Namespace, space)
		}
		b.absent(t, m.ID)
	}
}

func testSnapshotMarks(t *testing.T, b *bench) {
	now := b.clock.Now().Truncate(time.Microsecond)
	mark := func(kind store.MarkKind, id string, age time.Duration) store.SnapshotMark {
		return store.SnapshotMark{Kind: kind, ID: id, At: now.Add(-age)}
	}
	first := []store.SnapshotMark{mark(store.MarkOrphan, "a", 3), mark(store.MarkExpiring, "a", 2), mark(store.MarkOrphan, "b", time.Hour)}
	for _, m := range append(slices.Clone(first), mark(store.MarkOrphan, "a", 0)) { // the last one is there already
		if err := b.MarkSnapshot(t.Context(), m); err != nil {
			t.Fatalf("MarkSnapshot: %v", err)
		}
	}
	check := func(want ...store.SnapshotMark) {
		t.Helper()
		for range 2 {
			got, err := b.SnapshotMarks(t.Context())
			if err != nil {
				t.Fatalf("SnapshotMarks: %v", err)
			}
			sorted := cmpopts.SortSlices(func(a, b store.SnapshotMark) bool {
				return a.Kind+"/"+store.MarkKind(a.ID) < b.Kind+"/"+store.MarkKind(b.ID)
			})
			if d := cmp.Diff(want, got, sorted, cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Microsecond)); d != "" {
				t.Errorf("SnapshotMarks (-want +got):\n%s", d)
			}
			b.reopen(t)
		}
	}
	check(first...)
	if err := b.UnmarkSnapshots(t.Context(), store.MarkOrphan, "a", "nobody"); err != nil {
		t.Fatalf("UnmarkSnapshots: %v", err)
	}
	check(first[1:]...)
	if err := errors.Join(b.UnmarkSnapshots(t.Context(), store.MarkOrphan, "b"), b.UnmarkSnapshots(t.Context(), store.MarkExpiring, "a")); err != nil {
		t.Fatalf("UnmarkSnapshots: %v", err)
	}
	check()
}
