// Package manager is the operator's process: it reads the flags, opens the store,
// and runs the servers and controllers until it is told to end.
package manager

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/controllers"
	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/telemetry"
	"github.com/porter-dev/audit-operator/internal/version"
)

// Main runs the operator by its flags until SIGTERM or an interrupt, and returns
// the process's exit code: 1 when it failed, 2 when a flag is wrong.
func Main(args []string, out, messages io.Writer) int {
	opts, err := parse(args, out)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(messages, err)
		return 2
	case opts.version:
		fmt.Fprintln(out, version.Version)
		return 0
	}
	log := zap.New(zap.UseFlagOptions(&opts.log))
	setLoggers(log)
	if err := run(ctrl.SetupSignalHandler(), opts, log); err != nil {
		log.Error(err, "The operator failed")
		return 1
	}
	return 0
}

// run wires the parts and serves until ctx ends. What was acknowledged by then
// is in the store.
func run(ctx context.Context, o *options, log logr.Logger) (err error) {
	traces, flush, err := telemetry.Start(ctx, telemetry.Options{
		Endpoint: o.tracingEndpoint, SampleRatio: o.tracingRatio, Version: version.Version, Cluster: o.clusterName, Log: log.WithName("tracing"),
	})
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush)
	kube, err := newKubeClients(ctx)
	if err != nil {
		return err
	}
	memory := planMemory(memoryLimit(log), o)
	memory.apply(log)
	events, err := openStore(ctx, o, kube.clock.now, memory.database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	metrics.Registry.MustRegister(buildInfo())

	ingestion, err := newIngest(ctx, kube, events, traces, o, log)
	if err != nil {
		return err
	}
	defer ingestion.listener.Close()
	// Who asks passes here; what takes events in does not.
	reads := admission.NewStore(events, admission.NewGate(o.concurrentReads, admission.NewMetrics(metrics.Registry)))
	doors := door.NewWatch(metrics.Registry, traces)
	callers, err := kube.callers(o.clusterName)
	if err != nil {
		return err
	}
	nudger := &controllers.Nudger{}
	pages, views, err := newPages(ctx, reads, ingestion, callers, nudger.Nudge, doors, o, log)
	if err != nil {
		return err
	}
	mgr, err := newManager(kube, callers, o)
	if err != nil {
		return err
	}
	if err := addChecks(mgr, events, ingestion); err != nil {
		return err
	}
	options := controllers.Options{
		Store: reads, Issuer: ingestion.issuer, Registry: ingestion.registry, Types: ingestion.types,
		ClusterName: o.clusterName, DashboardURL: o.dashboardURL, Retention: o.retention,
		OrphansAfter: o.quota.orphansAfter, Nudger: nudger,
		Doors: doors, Metrics: controllers.NewMetrics(metrics.Registry), Traces: traces,
	}
	if err := controllers.Follow(mgr, options); err != nil {
		return fmt.Errorf("set up the followers: %w", err)
	}
	leader := leader{kube: kube, namespace: o.namespace, store: events, options: options, log: log.WithName("leader")}

	group, ctx := errgroup.WithContext(ctx)
	servers, serving := errgroup.WithContext(ctx)
	servers.Go(func() error { return ingestion.serve(serving, o.drainTimeout) })
	servers.Go(func() error { views.Run(serving); return nil })
	servers.Go(func() error { return servePages(serving, pages, o, log.WithName("dashboard")) })
	// Probes are answered and metrics served until the servers have drained.
	managed, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { defer stop(); return servers.Wait() })
	group.Go(func() error { return mgr.Start(managed) })
	group.Go(func() error { ingestion.certificate.Renew(ctx, log.WithName("collector")); return nil })
	group.Go(func() error { return leader.run(ctx) })
	group.Go(func() error { events.serveControl(ctx); return nil })
	log.Info("Starting the operator", "version", version.Version, "cluster", o.clusterName, "user", kube.user, "store", events.address,
		"ingest", o.ingestURL, "dashboard", o.dashboardURL, "retention", o.retention.String())
	return group.Wait()
}
