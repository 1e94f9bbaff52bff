package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/retention"
)

// openedStore is a store, with what its kind asks of the process around it.
type openedStore struct {
	store.Store
	// place is what a log may say of where it is.
	place string
	// shared means that other replicas use it too, so that one must lead.
	shared bool
	// attend answers those who ask this process for its files, until ctx ends.
	attend func(ctx context.Context)
	// maintain is what one replica does for all, until ctx ends.
	maintain func(ctx context.Context) error
}

// isDatabase reports whether a --store is PostgreSQL.
func isDatabase(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

func openStore(ctx context.Context, o *options, witness func() (time.Time, bool), memory int64, log logr.Logger) (*openedStore, error) {
	if isDatabase(o.store) {
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
	quota, reserve := o.space.ofVolume(size)
	events, err := embedded.Open(ctx, embedded.Options{
		Dir: o.dataDir, Version: version, Retention: o.retention, Witness: witness, MemoryLimit: memory, Metrics: embedded.NewMetrics(metrics.Registry), Log: log.WithName("store"),
		SnapshotQuota: quota, IngestReserve: reserve,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", o.dataDir, err)
	}
	keeper := keeperOf(events, o, log)
	return &openedStore{
		Store: events, place: o.dataDir,
		attend: func(ctx context.Context) { serveCommands(ctx, o.dataDir, events, keeper, log.WithName("maintenance")) },
		maintain: func(ctx context.Context) error {
			keeper.Run(ctx)
			return nil
		},
	}, nil
}

func openDatabase(ctx context.Context, o *options, witness func() (time.Time, bool), log logr.Logger) (*openedStore, error) {
	events, err := postgres.Open(ctx, postgres.Options{
		URL: o.store, ReadURL: o.storeReadURL, Version: version, Retention: o.retention, Witness: witness,
		Metrics: postgres.NewMetrics(metrics.Registry), Log: log.WithName("store"), SnapshotQuota: o.space.quotas(quotaOfDatabase),
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	keeper := keeperOf(events, o, log)
	return &openedStore{
		Store: events, place: postgres.Describe(o.store), shared: true,
		attend: func(context.Context) {},
		maintain: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return events.Maintain(ctx) })
			group.Go(func() error { keeper.Run(ctx); return nil })
			return group.Wait()
		},
	}, nil
}

// keeperOf drops what is older than the retention.
func keeperOf(events store.Store, o *options, log logr.Logger) *retention.Keeper {
	return retention.New(retention.Options{Days: events, Retention: o.retention, Metrics: metrics.Registry, Log: log.WithName("retention")})
}
