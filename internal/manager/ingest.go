package manager

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/controllers"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/store"
)

// ingest is the server that API servers send their events to.
type ingest struct {
	issuer      *credentials.Issuer
	registry    *webhook.Registry          // the sources that may send
	types       *controllers.ResourceTypes // what their events are classified by
	certificate *credentials.Serving
	server      *http.Server
	listener    net.Listener
	log         logr.Logger
}

// newIngest returns one that knows the sources and types of the cluster, since
// a delivery that came before it does would be refused, or classified wrong.
func newIngest(ctx context.Context, c *kubeClients, events store.Store, traces trace.TracerProvider, o *options, log logr.Logger) (*ingest, error) {
	in := &ingest{registry: webhook.NewRegistry(), log: log.WithName("collector")}
	metrics.Registry.MustRegister(in.registry)
	ingester := collector.New(collector.Options{
		Writer: events, Key: events.Key(), MaxBytesInFlight: o.maxBytesInFlight, Metrics: collector.NewMetrics(metrics.Registry), Traces: traces,
	})
	var err error
	if in.types, err = controllers.NewResourceTypes(c.user, ingester.SetClassifier, audit.WithPlatformNamespaces(o.platform)); err != nil {
		return nil, err
	}
	if in.issuer, err = credentials.New(ctx, c.api, credentials.Options{Namespace: o.namespace, IngestURL: o.ingestURL, Now: c.clock.earlier}); err != nil {
		return nil, fmt.Errorf("prepare credentials: %w", err)
	}
	if err := in.types.Load(ctx, c.api); err != nil {
		return nil, fmt.Errorf("%w (are the CRDs installed? kubectl apply -k config/crd)", err)
	}
	if err := controllers.RegisterSources(ctx, c.api, in.issuer, in.registry); err != nil {
		log.Error(err, "Some sources can't deliver yet; they are tried again")
	}
	if in.certificate, err = in.issuer.Serving(ctx); err != nil {
		return nil, fmt.Errorf("prepare the collector's certificate: %w", err)
	}
	metrics.Registry.MustRegister(in.certificate)
	in.server = webhook.NewServer(webhook.NewHandler(in.registry, ingester, in.log),
		webhook.TLS{GetCertificate: in.certificate.GetCertificate, ClientCAs: in.issuer.ClientCAs}, in.log)
	in.listener, err = listen(ctx, o.ingestAddress, "--ingest-bind-address")
	return in, err
}

func (in *ingest) serve(ctx context.Context, drain time.Duration) error {
	return serve(ctx, in.server, drain, in.log, func() error { return in.server.ServeTLS(in.listener, "", "") })
}
