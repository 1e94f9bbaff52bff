// Command manager is the audit operator: it collects the audit events of API
// servers, answers AuditLogQueries, and serves the dashboard.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/controllers"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/telemetry"
)

// gracefulShutdown bounds the end of the controllers. Without the API server
// some would wait for it; what they hold is not worth the time that a Pod is
// given to end.
const gracefulShutdown = 10 * time.Second

// version is set by the linker.
var version = "dev"

func main() {
	if args := os.Args[1:]; isCommand(args) {
		os.Exit(command(context.Background(), args, streams{os.Stdin, os.Stdout, os.Stderr}))
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
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	config.UserAgent = "audit-operator/" + version
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}

	traces, flush, err := telemetry.Start(ctx, telemetry.Options{
		Endpoint: o.tracingEndpoint, SampleRatio: o.tracingRatio, Version: version, Cluster: o.clusterName, Log: log.WithName("tracing"),
	})
	if err != nil {
		return err
	}
	defer flushTraces(ctx, flush)
	events, err := embedded.Open(ctx, embedded.Options{
		Dir: o.dataDir, Version: version, Retention: o.retention, Metrics: embedded.NewMetrics(metrics.Registry), Log: log.WithName("store"),
	})
	if err != nil {
		return fmt.Errorf("open the store in %s: %w", o.dataDir, err)
	}
	defer func() { err = errors.Join(err, events.Close()) }()

	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	user, err := whoAmI(ctx, kube)
	if err != nil {
		return err
	}

	taker := collector.New(collector.Options{
		Writer: events, MaxBytesInFlight: o.maxBytesInFlight, Metrics: collector.NewMetrics(metrics.Registry), Traces: traces,
	})
	types, err := controllers.NewResourceTypes(user, taker.SetClassifier)
	if err != nil {
		return err
	}
	issuer, err := credentials.New(ctx, api, credentials.Options{Namespace: o.namespace, IngestURL: o.ingestURL})
	if err != nil {
		return fmt.Errorf("prepare credentials: %w", err)
	}
	registry := webhook.NewRegistry()
	metrics.Registry.MustRegister(registry, buildInfo())
	doors := door.NewWatch(metrics.Registry, traces)
	// Both before the first delivery: it would be refused, or classified wrong.
	if err := types.Load(ctx, api); err != nil {
		return fmt.Errorf("%w (are the CRDs installed? kubectl apply -k config/crd)", err)
	}
	if err := controllers.CreateBuiltInTypes(ctx, api); err != nil {
		log.Error(err, "Some built-in resource types have no object; they are in force without it")
	}
	if err := controllers.RegisterSources(ctx, api, issuer, registry); err != nil {
		log.Error(err, "Some sources can't deliver yet; their controller tries again")
	}
	certificate, err := issuer.Serving(ctx)
	if err != nil {
		return fmt.Errorf("prepare the collector's certificate: %w", err)
	}
	ingest := webhook.NewServer(webhook.NewHandler(registry, taker, log.WithName("collector")),
		webhook.TLS{GetCertificate: certificate.GetCertificate, ClientCAs: issuer.ClientCAs()}, log.WithName("collector"))

	hash, block, err := issuer.SessionKeys(ctx)
	if err != nil {
		return fmt.Errorf("prepare the dashboard's session keys: %w", err)
	}
	callers := auth.New(kube, auth.Options{})
	pages, err := dashboard.New(dashboard.Options{
		Store: events, Auth: callers, Cluster: o.clusterName, Types: picker(types),
		SessionKeys: dashboard.SessionKeys{Hash: hash, Block: block}, Secure: o.secure(), Doors: doors, Log: log.WithName("dashboard"),
	})
	if err != nil {
		return err
	}

	mgr, err := newManager(config, scheme, callers, o)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, o.ingestAddress, "--ingest-bind-address")
	if err != nil {
		return err
	}
	defer listener.Close()
	// Ready means that a delivery would be taken, and be durable.
	if err := errors.Join(
		mgr.AddReadyzCheck("store", func(r *http.Request) error { return events.Ready(r.Context()) }),
		mgr.AddReadyzCheck("collector", webhook.Probe(listener.Addr(), issuer.IngestHost(), issuer.ClientCAs())),
	); err != nil {
		return err
	}
	if err := controllers.Setup(mgr, controllers.Options{
		Store: events, Issuer: issuer, Registry: registry, Types: types,
		ClusterName: o.clusterName, DashboardURL: o.dashboardURL, Retention: o.retention,
		Doors: doors, Metrics: controllers.NewMetrics(metrics.Registry), Traces: traces,
	}); err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}

	group, ctx := errgroup.WithContext(ctx)
	servers, serving := errgroup.WithContext(ctx)
	servers.Go(func() error {
		return serve(serving, ingest, o.drainTimeout, log.WithName("collector"), func() error { return ingest.ServeTLS(listener, "", "") })
	})
	servers.Go(func() error { return serveDashboard(serving, pages, o, log.WithName("dashboard")) })
	// Probes are answered and metrics served until the servers have drained.
	managed, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { defer stop(); return servers.Wait() })
	group.Go(func() error { return mgr.Start(managed) })
	group.Go(func() error { certificate.Renew(ctx, log.WithName("collector")); return nil })
	group.Go(func() error { serveCommands(ctx, o.dataDir, events, log.WithName("maintenance")); return nil })
	group.Go(func() error { retain(ctx, events, o.retention, log.WithName("retention")); return nil })
	log.Info("The operator starts", "version", version, "cluster", o.clusterName, "user", user,
		"ingest", o.ingestURL, "dashboard", o.dashboardURL, "retention", o.retention.String())
	return group.Wait()
}

func newManager(config *rest.Config, scheme *runtime.Scheme, callers *auth.Auth, o *options) (ctrl.Manager, error) {
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		// Who scrapes proves who they are, as at every other door.
		Metrics: metricsserver.Options{
			BindAddress: o.metricsAddress, SecureServing: true, ExtraHandlers: profiles(),
			FilterProvider: func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
				return func(_ logr.Logger, next http.Handler) (http.Handler, error) { return callers.Guard(next), nil }, nil
			},
		},
		HealthProbeBindAddress:  o.healthAddress,
		GracefulShutdownTimeout: ptr.To(gracefulShutdown),
		// The operator may read Secrets in its own namespace alone.
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{o.namespace: {}}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, mgr.AddHealthzCheck("ping", healthz.Ping)
}

// whoAmI returns the operator's own user name, by which its requests are known
// among the events.
func whoAmI(ctx context.Context, kube kubernetes.Interface) (string, error) {
	review, err := kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the API server who the operator is: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

func picker(types *controllers.ResourceTypes) func() []dashboard.ResourceType {
	return func() []dashboard.ResourceType {
		var out []dashboard.ResourceType
		for _, t := range types.All() {
			out = append(out, dashboard.ResourceType{Name: t.Name, DisplayName: t.DisplayName, Description: t.Description})
		}
		return out
	}
}

func serveDashboard(ctx context.Context, pages http.Handler, o *options, log logr.Logger) error {
	server := &http.Server{
		Handler: pages, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	listener, err := listen(ctx, o.dashboardAddress, "--dashboard-bind-address")
	if err != nil {
		return err
	}
	if o.dashboardCert == "" {
		return serve(ctx, server, o.drainTimeout, log, func() error { return server.Serve(listener) })
	}
	files, err := certwatcher.New(o.dashboardCert, o.dashboardKey)
	if err != nil {
		return fmt.Errorf("--dashboard-tls-cert-file, --dashboard-tls-key-file: %w", err)
	}
	server.TLSConfig = modernTLS(files.GetCertificate)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return files.Start(ctx) })
	group.Go(func() error {
		return serve(ctx, server, o.drainTimeout, log, func() error { return server.ServeTLS(listener, "", "") })
	})
	return group.Wait()
}

func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// serve lets running requests finish after ctx has ended, and cuts off what
// has not finished in time: it gets no answer, so nobody believes it done.
func serve(ctx context.Context, server *http.Server, drain time.Duration, log logr.Logger, start func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- start() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Info("Cut off requests that did not end in time", "timeout", drain.String())
		return server.Close()
	}
	return err
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
