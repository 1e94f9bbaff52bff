// Package telemetry sends traces to where it is told to, by OTLP over HTTP.
package telemetry

import (
	"context"
	"fmt"
	"net/url"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// ServiceName is how the operator is called in traces, unless the environment
// variable OTEL_SERVICE_NAME says otherwise.
const ServiceName = "audit-operator"

// Options of Start.
type Options struct {
	// Endpoint is a URL such as http://collector:4318; spans are posted to
	// v1/traces below it, none without it. Headers and certificates come from
	// the variables OTEL_EXPORTER_OTLP_*: a flag is no place for a secret.
	Endpoint string
	// SampleRatio is the part of all traces that is kept, from 0 to 1, also of
	// those that callers began.
	SampleRatio float64
	Version     string
	Cluster     string
	Log         logr.Logger
}

// Start returns the provider of tracers and what sends the rest of the spans
// at the end. Without an endpoint nothing is traced and nothing is sent.
func Start(ctx context.Context, o Options) (trace.TracerProvider, func(context.Context) error, error) {
	if o.Endpoint == "" {
		return noop.NewTracerProvider(), func(context.Context) error { return nil }, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.Error(err, "Could not send traces") }))
	otel.SetLogger(o.Log)
	address, err := url.JoinPath(o.Endpoint, "v1/traces")
	if err != nil {
		return nil, nil, fmt.Errorf("send traces to %s: %w", o.Endpoint, err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address))
	if err != nil {
		return nil, nil, fmt.Errorf("prepare sending traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", ServiceName), attribute.String("service.version", o.Version),
			attribute.String("k8s.cluster.name", o.Cluster)),
		resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("describe the operator in traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about), sdktrace.WithSampler(sampler(o.SampleRatio)))
	return provider, provider.Shutdown, nil
}
