// Command manager is the audit operator: it collects the audit events of API
// servers, answers AuditLogQueries, and serves the dashboard.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

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
)

// version is set by the linker.
var version = "dev"

func main() {
	if args := os.Args[1:]; isCommand(args) {
		os.Exit(command(context.Background(), args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
	}
	opts, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case opts.version:
		fmt.Println(version)
		return
	}
	log := zap.New(zap.UseFlagOptions(&opts.log))
	useLogger(log)
	if err := run(ctrl.SetupSignalHandler(), opts, log); err != nil {
		log.Error(err, "The operator ends")
		os.Exit(1)
	}
}

// run wires the parts and serves until ctx ends. What was acknowledged by then
// is in the store.
func run(ctx context.Context, o *options, log logr.Logger) (err error) {
	traces, flush, err := telemetry.Start(ctx, telemetry.Options{
		Endpoint: o.tracingEndpoint, SampleRatio: o.tracingRatio, Version: version, Cluster: o.clusterName, Log: log.WithName("tracing"),
	})
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush)
	cluster, err := reachCluster(ctx)
	if err != nil {
		return err
	}
	memory := planMemory(memoryLimit(log), o)
	memory.apply(log)
	events, err := openStore(ctx, o, cluster.clock.now, memory.database, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close()) }()
	metrics.Registry.MustRegister(buildInfo())

	intake, err := newIntake(ctx, cluster, events, traces, o, log)
	if err != nil {
		return err
	}
	defer intake.listener.Close()
	// Who asks passes here; what takes events in does not.
	reads := admission.NewStore(events, admission.NewGate(o.concurrentReads, admission.NewMetrics(metrics.Registry)))
	doors := door.NewWatch(metrics.Registry, traces)
	callers, err := cluster.callers(o.clusterName)
	if err != nil {
		return err
	}
	nudger := &controllers.Nudger{}
	pages, views, err := newPages(ctx, reads, intake, callers, nudger.Nudge, doors, o, log)
	if err != nil {
		return err
	}
	mgr, err := newManager(cluster, callers, o)
	if err != nil {
		return err
	}
	if err := addChecks(mgr, events, intake); err != nil {
		return err
	}
	options := controllers.Options{
		Store: reads, Issuer: intake.issuer, Registry: intake.registry, Types: intake.types,
		ClusterName: o.clusterName, DashboardURL: o.dashboardURL, Retention: o.retention,
		OrphansAfter: o.space.orphansAfter, Nudger: nudger,
		Doors: doors, Metrics: controllers.NewMetrics(metrics.Registry), Traces: traces,
	}
	if err := controllers.Follow(mgr, options); err != nil {
		return fmt.Errorf("set up the followers: %w", err)
	}
	leader := leader{cluster: cluster, namespace: o.namespace, store: events, options: options, log: log.WithName("leader")}

	group, ctx := errgroup.WithContext(ctx)
	servers, serving := errgroup.WithContext(ctx)
	servers.Go(func() error { return intake.serve(serving, o.drainTimeout) })
	servers.Go(func() error { views.Run(serving); return nil })
	servers.Go(func() error { return servePages(serving, pages, o, log.WithName("dashboard")) })
	// Probes are answered and metrics served until the servers have drained.
	managed, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { defer stop(); return servers.Wait() })
	group.Go(func() error { return mgr.Start(managed) })
	group.Go(func() error { intake.certificate.Renew(ctx, log.WithName("collector")); return nil })
	group.Go(func() error { return leader.run(ctx) })
	group.Go(func() error { events.attend(ctx); return nil })
	log.Info("The operator starts", "version", version, "cluster", o.clusterName, "user", cluster.user, "store", events.place,
		"ingest", o.ingestURL, "dashboard", o.dashboardURL, "retention", o.retention.String())
	return group.Wait()
}
