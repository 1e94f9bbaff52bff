package manager

import (
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store"
)

func TestSpaceOptions(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		name    string
		given   quotaOptions
		size    int64
		quota   store.SnapshotQuota
		reserve uint64
	}{
		{"a shipped volume", quotaOptions{}, 20 * gib, store.SnapshotQuota{Whole: 4 * gib, PerNamespace: gib / 2}, 2 * gib},
		{"a small one", quotaOptions{}, gib, store.SnapshotQuota{Whole: gib / 5, PerNamespace: gib / 5 / 8}, 256 << 20},
		{"a tiny one", quotaOptions{}, 1000, store.SnapshotQuota{Whole: 1 << 20, PerNamespace: 1 << 20}, 256 << 20},
		{"a large one", quotaOptions{}, 1000 * gib, store.SnapshotQuota{Whole: 200 * gib, PerNamespace: 25 * gib}, 10 * gib},
		{"as given", quotaOptions{quota: 7 * gib, perNamespace: 2 * gib, reserve: 3}, gib, store.SnapshotQuota{Whole: 7 * gib, PerNamespace: 2 * gib}, 3},
		{"a namespace's alone", quotaOptions{perNamespace: 5 * gib}, 20 * gib, store.SnapshotQuota{Whole: 5 * gib, PerNamespace: 5 * gib}, 2 * gib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if quota, reserve := tt.given.ofVolume(tt.size); quota != tt.quota || reserve != tt.reserve {
				t.Errorf("got %+v and a reserve of %d, want %+v and %d", quota, reserve, tt.quota, tt.reserve)
			}
		})
	}
}

func TestSpaceFlags(t *testing.T) {
	required := []string{"--cluster-name=prod-eu", "--ingest-url=https://10.0.0.5:8443"}
	for _, tt := range []struct {
		args  string
		wrong string
	}{
		{"--snapshot-quota=1048576 --snapshot-quota-per-namespace=1048576", ""},
		{"--snapshot-quota=1048575", "--snapshot-quota: give at least 1048576"},
		{"--snapshot-quota=-1", "--snapshot-quota: give at least 1048576"},
		{"--snapshot-quota-per-namespace=1", "--snapshot-quota-per-namespace: give at least 1048576"},
		{"--snapshot-quota=1048576 --snapshot-quota-per-namespace=1048577", "--snapshot-quota-per-namespace: give no more than --snapshot-quota"},
		{"--ingest-reserve=1", ""},
		{"--ingest-reserve=-1", "--ingest-reserve: give a number of bytes"},
		{"--ingest-reserve=1 --store=postgres://", "--ingest-reserve: has no effect with a database"},
		{"--orphan-snapshots-after=1h", ""},
		{"--orphan-snapshots-after=59m", "--orphan-snapshots-after: give from 1h to 87600h"},
		{"--orphan-snapshots-after=87601h", "--orphan-snapshots-after: give from 1h to 87600h"},
	} {
		_, err := parse(append(required, strings.Fields(tt.args)...), nil)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.wrong)
		}
	}
}
