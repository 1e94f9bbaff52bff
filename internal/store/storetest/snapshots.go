package storetest

import (
	stdcmp "cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

func snapshotID(n int) string { return fmt.Sprintf("%032x", n) }

func manifest(n int, takenAt time.Time) store.Manifest {
	return store.Manifest{
		ID: snapshotID(n), Owner: store.Owner{Kind: "AuditLogQuery", Namespace: "shop", Name: "q", UID: "uid"}, Namespace: "shop", Cluster: "prod",
		Filter: "resource_type=application&search=%F0%9F%99%82", TakenAt: takenAt, AsOf: takenAt, From: takenAt.Add(-time.Hour), To: takenAt,
		Matched: 1 << 40, Stored: 2, Truncated: true, CountsByType: map[string]int64{"application": 2}, CountsByStatusClass: map[string]int64{"2xx": 2},
		Complete: "Unknown", CompleteReason: "NotMeasured", Digest: "sha256:00", ManifestDigest: "sha256:11",
	}
}

// shop is the space of manifest's snapshots.
var shop = store.SnapshotSpace{Cluster: "prod", Namespace: "shop"}

func (b *bench) save(t *testing.T, m store.Manifest, body string) {
	t.Helper()
	if err := b.SaveSnapshot(t.Context(), m.ID, store.SpaceOf(&m), func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, body)
		return m, err
	}); err != nil {
		t.Fatalf("SaveSnapshot: %v", err)
	}
}

// body returns a snapshot's bytes.
func (b *bench) body(t *testing.T, id string) string {
	t.Helper()
	r, err := b.OpenSnapshot(t.Context(), query.ClusterWide(), id)
	if err != nil {
		t.Fatalf("OpenSnapshot: %v", err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read a snapshot: %v", err)
	}
	return string(data)
}

func (b *bench) absent(t *testing.T, id string) {
	t.Helper()
	if m, err := b.Snapshot(t.Context(), query.ClusterWide(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Snapshot = %+v, %v; want ErrNotFound", m, err)
	}
	if _, err := b.OpenSnapshot(t.Context(), query.ClusterWide(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("OpenSnapshot = %v; want ErrNotFound", err)
	}
}

func testSnapshotRoundTrip(t *testing.T, b *bench) {
	large, empty := manifest(1, b.clock.Now()), manifest(2, b.clock.Now())
	body := strings.Repeat("{\"a\":\"\x00\xff\"}\r\n", 300_000)
	b.save(t, large, body)
	b.save(t, empty, "")
	for range 2 {
		got, err := b.Snapshot(t.Context(), query.ClusterWide(), large.ID)
		if err != nil {
			t.Fatalf("Snapshot: %v", err)
		}
		if d := cmp.Diff(large, got); d != "" {
			t.Errorf("Snapshot (-want +got):\n%s", d)
		}
		got.CountsByType["application"] = -1 // must not reach the store
		if b.body(t, large.ID) != body || b.body(t, empty.ID) != "" {
			t.Error("OpenSnapshot: the bytes differ from those saved")
		}
		again, err := b.Snapshot(t.Context(), query.ClusterWide(), large.ID)
		if err != nil || again.CountsByType["application"] != 2 {
			t.Errorf("Snapshot after a caller changed its copy = %v, %v", again.CountsByType, err)
		}
		b.reopen(t)
	}
	for range 2 {
		if err := b.DeleteSnapshot(t.Context(), large.ID); err != nil {
			t.Errorf("DeleteSnapshot: %v", err)
		}
	}
	b.absent(t, large.ID)
	b.reopen(t)
	b.absent(t, large.ID)
}

func testSnapshotScope(t *testing.T, b *bench) {
	namespaced, wide := manifest(1, b.clock.Now()), manifest(2, b.clock.Now())
	wide.Namespace, wide.Cluster = "", ""
	b.save(t, namespaced, "namespaced")
	b.save(t, wide, "wide")
	for _, test := range []struct {
		scope            query.Scope
		namespaced, wide bool
	}{
		{query.ClusterWide(), true, true},
		{query.InNamespaces("prod", "shop"), true, false},
		{query.InNamespaces("prod", "other"), false, false},
		{query.InNamespaces("staging", "shop"), false, false},
		{query.InNamespaces("", ""), false, false},
		{query.Scope{}, false, false},
	} {
		for id, visible := range map[string]bool{namespaced.ID: test.namespaced, wide.ID: test.wide} {
			m, err := b.Snapshot(t.Context(), test.scope, id)
			if visible != (err == nil) || !visible && (!errors.Is(err, store.ErrNotFound) || m.ID != "") {
				t.Errorf("scope %+v: Snapshot %s = %v", test.scope, id, err)
			}
			body, err := b.OpenSnapshot(t.Context(), test.scope, id)
			if visible != (err == nil) || !visible && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("scope %+v: OpenSnapshot %s = %v", test.scope, id, err)
			}
			if err == nil {
				body.Close()
			}
		}
	}
}

// testSnapshotFailures checks that what fails leaves nothing.
func testSnapshotFailures(t *testing.T, b *bench) {
	failure := errors.New("failure")
	for name, write := range map[string]func(w io.Writer) (store.Manifest, error){
		"a failing write": func(w io.Writer) (store.Manifest, error) {
			_, err := io.WriteString(w, "half")
			return manifest(1, b.clock.Now()), errors.Join(err, failure)
		},
		"another ID": func(io.Writer) (store.Manifest, error) { return manifest(2, b.clock.Now()), nil },
	} {
		err := b.SaveSnapshot(t.Context(), snapshotID(1), shop, write)
		if err == nil || name == "a failing write" && !errors.Is(err, failure) {
			t.Errorf("%s: SaveSnapshot = %v", name, err)
		}
		b.absent(t, snapshotID(1))
		b.absent(t, snapshotID(2))
	}
	for _, id := range []string{"", "../" + snapshotID(1)[3:], strings.Repeat("A", 32), "x"} {
		m := manifest(1, b.clock.Now())
		m.ID = id
		if err := b.SaveSnapshot(t.Context(), id, shop, func(io.Writer) (store.Manifest, error) { return m, nil }); err == nil {
			t.Errorf("SaveSnapshot of ID %q: no error", id)
		}
		b.absent(t, id)
		if err := b.DeleteSnapshot(t.Context(), id); err != nil {
			t.Errorf("DeleteSnapshot of ID %q: %v", id, err)
		}
	}
	b.save(t, manifest(1, b.clock.Now()), "whole")
}

func testSnapshotSavedOnce(t *testing.T, b *bench) {
	var group errgroup.Group
	results := make([]error, 8)
	for i := range results {
		group.Go(func() error {
			m := manifest(1, b.clock.Now())
			m.Filter = fmt.Sprint(i)
			results[i] = b.SaveSnapshot(t.Context(), m.ID, store.SpaceOf(&m), func(w io.Writer) (store.Manifest, error) {
				_, err := fmt.Fprint(w, i)
				return m, err
			})
			return nil
		})
	}
	_ = group.Wait() // the results hold the errors
	saved := 0
	for _, err := range results {
		if err == nil {
			saved++
		} else if !errors.Is(err, store.ErrExists) {
			t.Errorf("SaveSnapshot = %v, want ErrExists", err)
		}
	}
	m, err := b.Snapshot(t.Context(), query.ClusterWide(), snapshotID(1))
	if saved != 1 || err != nil || m.Filter != b.body(t, snapshotID(1)) {
		t.Errorf("%d saves succeeded; manifest of %q (%v), body of %q", saved, m.Filter, err, b.body(t, snapshotID(1)))
	}
}

// testSnapshotOpened deletes a snapshot that is being read, and saves another
// one of its ID.
func testSnapshotOpened(t *testing.T, b *bench) {
	m, body := manifest(1, b.clock.Now()), strings.Repeat("{\"a\":1}\n", 300_000)
	b.save(t, m, body)
	opened, err := b.OpenSnapshot(t.Context(), query.ClusterWide(), m.ID)
	if err != nil {
		t.Fatalf("OpenSnapshot: %v", err)
	}
	defer opened.Close()
	begun := make([]byte, 10)
	if _, err := io.ReadFull(opened, begun); err != nil {
		t.Fatalf("read a snapshot: %v", err)
	}
	if err := b.DeleteSnapshot(t.Context(), m.ID); err != nil {
		t.Fatalf("DeleteSnapshot: %v", err)
	}
	b.save(t, m, "another")
	if rest, err := io.ReadAll(opened); err != nil || string(begun)+string(rest) != body {
		t.Errorf("read %d bytes of %d, %v", len(begun)+len(rest), len(body), err)
	}
	if got := b.body(t, m.ID); got != "another" {
		t.Errorf("the new body is %q", got)
	}
}

func testSnapshotsOfOwner(t *testing.T, b *bench) {
	now := b.clock.Now()
	for n, age := range map[int]time.Duration{1: 3, 2: 1, 3: 2} {
		b.save(t, manifest(n, now.Add(-age*time.Hour)), "")
	}
	other := manifest(4, now)
	other.Owner.UID = "other"
	b.save(t, other, "")
	for range 2 {
		got, err := b.SnapshotsOf(t.Context(), "uid")
		if err != nil {
			t.Fatalf("SnapshotsOf: %v", err)
		}
		var ids []string
		for _, m := range got {
			ids = append(ids, m.ID)
		}
		if d := cmp.Diff([]string{snapshotID(2), snapshotID(3), snapshotID(1)}, ids); d != "" {
			t.Errorf("SnapshotsOf (-want +got):\n%s", d)
		}
		b.reopen(t)
	}
	if got, err := b.SnapshotsOf(t.Context(), "nobody"); err != nil || len(got) != 0 {
		t.Errorf("SnapshotsOf nobody = %v, %v", got, err)
	}
}

// testListSnapshots checks the scope of the list, and its pages over equal times.
func testListSnapshots(t *testing.T, b *bench) {
	now := b.clock.Now()
	var all []store.Manifest
	for n := range 40 {
		m := manifest(n, now.Add(-time.Duration(n/4)*time.Hour))
		m.Cluster = []string{"prod", "prod", "staging", "prod"}[n%4]
		m.Namespace = []string{"shop", "bills", "shop", "kube-system"}[n%4]
		if n%8 == 7 {
			m.Cluster, m.Namespace = "", ""
		}
		b.save(t, m, "")
		all = append(all, m)
	}
	if err := b.DeleteSnapshot(t.Context(), all[5].ID); err != nil {
		t.Fatalf("DeleteSnapshot: %v", err)
	}
	all = slices.Delete(all, 5, 6)
	for range 2 {
		for _, scope := range []query.Scope{
			query.ClusterWide(), query.InNamespaces("prod", "shop"), query.InNamespaces("prod", "bills", "shop"), query.InNamespaces("staging", "shop", "bills"),
			query.InNamespaces("", ""), query.InNamespaces("prod", "no\x00where"), query.InNamespaces("prod", "nobody"), {},
		} {
			want := covered(all, scope)
			for _, size := range []int{1, 3, 100} {
				if d := cmp.Diff(want, b.list(t, scope, size), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("scope %+v, pages of %d (-want +got):\n%s", scope, size, d)
				}
			}
		}
		b.reopen(t)
	}
	for _, limit := range []int{0, -1} {
		if got, err := b.ListSnapshots(t.Context(), query.ClusterWide(), store.ListSnapshotsRequest{Limit: limit}); err != nil || len(got) != 0 {
			t.Errorf("ListSnapshots of %d = %d manifests, %v", limit, len(got), err)
		}
	}
}

// covered returns those that a scope sees, newest first.
func covered(all []store.Manifest, scope query.Scope) []store.Manifest {
	seen := slices.DeleteFunc(slices.Clone(all), func(m store.Manifest) bool { return !scope.Covers(m.Cluster, m.Namespace, m.TakenAt) })
	slices.SortFunc(seen, func(a, b store.Manifest) int {
		return stdcmp.Or(b.TakenAt.Compare(a.TakenAt), stdcmp.Compare(b.ID, a.ID))
	})
	return seen
}

// list lists all by pages of a size.
func (b *bench) list(t asker, scope query.Scope, size int) []store.Manifest {
	t.Helper()
	var all []store.Manifest
	var before *store.SnapshotPosition
	for {
		page, err := b.ListSnapshots(t.Context(), scope, store.ListSnapshotsRequest{Before: before, Limit: size})
		if err != nil || len(page) > size {
			t.Fatalf("ListSnapshots of %d = %d manifests, %v", size, len(page), err)
		}
		all = append(all, page...)
		if len(page) < size {
			return all
		}
		last := page[len(page)-1].Position()
		before = &last
	}
}

// testListSnapshotsGenerated saves, deletes and lists in any order.
func testListSnapshotsGenerated(t *testing.T, b *bench) {
	now := b.clock.Now()
	var kept []store.Manifest
	made := 0
	rapid.Check(t, func(r *rapid.T) {
		for range rapid.IntRange(0, 3).Draw(r, "saves") {
			made++
			m := manifest(made, now.Add(-time.Duration(rapid.IntRange(0, 3).Draw(r, "hours"))*time.Hour))
			m.Cluster, m.Namespace = oneOf(r, "cluster", someClusters), oneOf(r, "namespace", someNamespaces)
			b.save(t, m, "")
			kept = append(kept, m)
		}
		if len(kept) > 0 && rapid.Bool().Draw(r, "deletes") {
			i := rapid.IntRange(0, len(kept)-1).Draw(r, "which")
			if err := b.DeleteSnapshot(t.Context(), kept[i].ID); err != nil {
				r.Fatalf("DeleteSnapshot: %v", err)
			}
			kept = slices.Delete(kept, i, i+1)
		}
		scope := drawScope(r)
		if d := cmp.Diff(covered(kept, scope), b.list(r, scope, rapid.IntRange(1, 20).Draw(r, "size")), cmpopts.EquateEmpty()); d != "" {
			r.Fatalf("scope %+v (-want +got):\n%s", scope, d)
		}
	})
}

func testSnapshotOutlivesEvent(t *testing.T, b *bench) {
	now := b.clock.Now()
	b.append(t, store.Appended{Stored: 1}, plain(1, now.AddDate(0, 0, -3)))
	b.save(t, manifest(1, now), "body")
	if dropped, err := b.Retain(t.Context(), now); err != nil || len(dropped) != 1 {
		t.Fatalf("Retain = %v, %v", dropped, err)
	}
	if got := b.body(t, snapshotID(1)); got != "body" {
		t.Errorf("body after Retain = %q", got)
	}
}
