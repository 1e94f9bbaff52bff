package manager

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/retention"
	"github.com/porter-dev/audit-operator/internal/storeurl"
	"github.com/porter-dev/audit-operator/internal/version"
)

// openedStore is a store, with what its kind asks of the process around it.
type openedStore struct {
	store.Store
	// address is what a log may say of where it is.
	address string
	// shared means that other replicas use it too, so that one must lead.
	shared bool
	// serveControl answers commands that ask this process for its files, until ctx ends.
	serveControl func(ctx context.Context)
	// maintain is what one replica does for all, until ctx ends.
	maintain func(ctx context.Context) error
}

func openStore(ctx context.Context, o *options, witness func() (time.Time, bool), memory int64, log logr.Logger) (*openedStore, error) {
	if storeurl.IsDatabase(o.store) {
		return openDatabase(ctx, o, witness, log)
	}
	return openEmbedded(ctx, o, witness, memory, log)
}

func openEmbedded(ctx context.Context, o *options, witness func() (time.Time, bool), memory int64, log logr.Logger) (*openedStore, error) {
	if err := os.MkdirAll(o.dataDir, 0o750); err != nil { // a volume has a size where there is a folder
		return nil, fmt.Errorf("make the store's folder: %w", err)
	}
	size, err := volumeSize(o.dataDir)
	if err != nil {
		return nil, err
	}
	quota, reserve := o.quota.ofVolume(size)
	events, err := embedded.Open(ctx, embedded.Options{
		Dir: o.dataDir, Version: version.Version, Retention: o.retention, Witness: witness, MemoryLimit: memory, Metrics: embedded.NewMetrics(metrics.Registry), Log: log.WithName("store"),
		SnapshotQuota: quota, IngestReserve: reserve,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", o.dataDir, err)
	}
	keeper := newKeeper(events, o, log)
	return &openedStore{
		Store: events, address: o.dataDir,
		serveControl: func(ctx context.Context) { serveControl(ctx, o.dataDir, events, keeper, log.WithName("maintenance")) },
		maintain: func(ctx context.Context) error {
			keeper.Run(ctx)
			return nil
		},
	}, nil
}

func openDatabase(ctx context.Context, o *options, witness func() (time.Time, bool), log logr.Logger) (*openedStore, error) {
	events, err := postgres.Open(ctx, postgres.Options{
		URL: o.store, ReadURL: o.storeReadURL, Version: version.Version, Retention: o.retention, Witness: witness,
		Metrics: postgres.NewMetrics(metrics.Registry), Log: log.WithName("store"), SnapshotQuota: o.quota.quotas(quotaOfDatabase),
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	keeper := newKeeper(events, o, log)
	return &openedStore{
		Store: events, address: postgres.Describe(o.store), shared: true,
		serveControl: func(context.Context) {},
		maintain: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return events.Maintain(ctx) })
			group.Go(func() error { keeper.Run(ctx); return nil })
			return group.Wait()
		},
	}, nil
}

// newKeeper returns what drops what is older than the retention.
func newKeeper(events store.Store, o *options, log logr.Logger) *retention.Keeper {
	return retention.New(retention.Options{Days: events, Retention: o.retention, Metrics: metrics.Registry, Log: log.WithName("retention")})
}
