package manager

import (
	"fmt"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/porter-dev/audit-operator/internal/store"
)

// quotaOptions bound the space that snapshots take. 0 stands for the default.
type quotaOptions struct {
	quota, perNamespace, reserve int64
	orphansAfter                 time.Duration
}

// Defaults: the quota of all snapshots is a fifth of the volume, or an absolute
// number of bytes where the disk is a database's; that of a namespace an eighth
// of the quota; and a tenth of the volume is for events alone.
const (
	quotaOfVolume      = 5
	quotaOfDatabase    = 8 << 30
	namespaceOfQuota   = 8
	reserveOfVolume    = 10
	minReserve         = 256 << 20
	maxReserve         = 10 << 30
	minQuota           = 1 << 20
	minOrphansAfter    = time.Hour
	maxOrphansAfter    = 87600 * time.Hour
	orphansAfter       = 720 * time.Hour
	snapshotQuotaFlag  = "snapshot-quota"
	namespaceQuotaFlag = "snapshot-quota-per-namespace"
	reserveFlag        = "ingest-reserve"
	orphansFlag        = "orphan-snapshots-after"
)

func (s *quotaOptions) flags(flags *pflag.FlagSet) {
	flags.Int64Var(&s.quota, snapshotQuotaFlag, 0, "space that all snapshots may take, in bytes, a tenth of it for cluster-wide ones alone; 0 for a fifth of the volume, or 8 GiB of a database")
	flags.Int64Var(&s.perNamespace, namespaceQuotaFlag, 0, "space that the snapshots of one namespace may take, in bytes; 0 for an eighth of --snapshot-quota")
	flags.Int64Var(&s.reserve, reserveFlag, 0, "free space of the volume that only events may use, in bytes; 0 for a tenth of the volume, from 256 MiB to 10 GiB")
	flags.DurationVar(&s.orphansAfter, orphansFlag, orphansAfter, "how long snapshots are kept whose query is gone without the operator having seen its deletion")
}

func (s *quotaOptions) validate(database bool, wrong func(flag, problem string)) {
	for flag, bytes := range map[string]int64{snapshotQuotaFlag: s.quota, namespaceQuotaFlag: s.perNamespace} {
		if bytes != 0 && bytes < minQuota {
			wrong(flag, fmt.Sprintf("give at least %d, or 0 for the default", minQuota))
		}
	}
	if s.quota > 0 && s.perNamespace > s.quota {
		wrong(namespaceQuotaFlag, "give no more than --snapshot-quota")
	}
	switch {
	case s.reserve < 0:
		wrong(reserveFlag, "give a number of bytes, or 0 for the default")
	case s.reserve > 0 && database:
		wrong(reserveFlag, "has no effect with a database as --store")
	}
	if s.orphansAfter < minOrphansAfter || s.orphansAfter > maxOrphansAfter {
		wrong(orphansFlag, "give from 1h to 87600h")
	}
}

// quotas are those of a store whose quota of all snapshots is total by default.
func (s *quotaOptions) quotas(total int64) store.SnapshotQuota {
	q := store.SnapshotQuota{Whole: s.quota, PerNamespace: s.perNamespace}
	if q.Whole == 0 {
		q.Whole = max(total, minQuota, q.PerNamespace)
	}
	if q.PerNamespace == 0 {
		q.PerNamespace = max(q.Whole/namespaceOfQuota, minQuota)
	}
	return q
}

// ofVolume are the bounds for a store on a volume of a size.
func (s *quotaOptions) ofVolume(size int64) (store.SnapshotQuota, uint64) {
	reserve := s.reserve
	if reserve == 0 {
		reserve = min(max(size/reserveOfVolume, minReserve), maxReserve)
	}
	return s.quotas(size / quotaOfVolume), uint64(reserve)
}

// volumeSize is that of the volume that a folder lies on.
func volumeSize(dir string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("find the size of the volume of %s: %w", dir, err)
	}
	return int64(fs.Blocks) * fs.Bsize, nil
}
