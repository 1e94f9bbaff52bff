package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
)

func openStore(ctx context.Context, o *options, log logr.Logger) (*embedded.Store, error) {
	events, err := embedded.Open(ctx, embedded.Options{
		Dir: o.dataDir, Version: version, Retention: o.retention, Metrics: embedded.NewMetrics(metrics.Registry), Log: log.WithName("store"),
	})
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", o.dataDir, err)
	}
	return events, nil
}

// retain drops what is older than the retention, now and every hour.
func retain(ctx context.Context, events *embedded.Store, retention time.Duration, log logr.Logger) {
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
