package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
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

func openStore(ctx context.Context, o *options, log logr.Logger) (*openedStore, error) {
	if isDatabase(o.store) {
		return openDatabase(ctx, o, log)
	}
	return openEmbedded(ctx, o, log)
}

func openEmbedded(ctx context.Context, o *options, log logr.Logger) (*openedStore, error) {
	events, err := embedded.Open(ctx, embedded.Options{
		Dir: o.dataDir, Version: version, Retention: o.retention, Metrics: embedded.NewMetrics(metrics.Registry), Log: log.WithName("store"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", o.dataDir, err)
	}
	return &openedStore{
		Store: events, place: o.dataDir,
		attend: func(ctx context.Context) { serveCommands(ctx, o.dataDir, events, log.WithName("maintenance")) },
		maintain: func(ctx context.Context) error {
			retain(ctx, events, o.retention, log.WithName("retention"))
			return nil
		},
	}, nil
}

func openDatabase(ctx context.Context, o *options, log logr.Logger) (*openedStore, error) {
	events, err := postgres.Open(ctx, postgres.Options{
		URL: o.store, ReadURL: o.storeReadURL, Version: version, Retention: o.retention,
		Metrics: postgres.NewMetrics(metrics.Registry), Log: log.WithName("store"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return &openedStore{
		Store: events, place: postgres.Describe(o.store), shared: true,
		attend: func(context.Context) {},
		maintain: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return events.Maintain(ctx) })
			group.Go(func() error { retain(ctx, events, o.retention, log.WithName("retention")); return nil })
			return group.Wait()
		},
	}, nil
}

// retain drops what is older than the retention, now and every hour.
func retain(ctx context.Context, events store.Store, retention time.Duration, log logr.Logger) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		dropped, err := events.Retain(ctx, time.Now().Add(-retention))
		if err != nil && ctx.Err() == nil {
			log.Error(err, "Could not drop old days; tried again in an hour")
		}
		for _, day := range dropped {
			log.Info("Dropped a day", "day", day.Format(time.DateOnly))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
