package manager

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/porter-dev/audit-operator/internal/version"
)

// setLoggers has everything that libraries log become lines of the same form:
// controller-runtime's, client-go's and the standard library's.
func setLoggers(log logr.Logger) {
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	// With a reconciliation's logger client-go would log the bodies of requests
	// from level 8 on, Secrets too. With klog's own its level stays 0.
	klog.EnableContextualLogging(false)
	slog.SetDefault(slog.New(logr.ToSlogHandler(log)))
}

// buildInfo tells which build runs.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audit_build_info", Help: "1, with the operator's version and Go's as labels.",
		ConstLabels: prometheus.Labels{"version": version.Version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// pprofHandlers are served beside the metrics, each path to who may get it. The
// command line is not, which may hold a database's password.
func pprofHandlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/debug/pprof/":        http.HandlerFunc(pprof.Index),
		"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
		"/debug/pprof/symbol":  http.HandlerFunc(pprof.Symbol),
		"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
	}
}

// flushTraces sends the spans that wait. Their loss holds up no end.
func flushTraces(ctx context.Context, flush func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := flush(ctx); err != nil {
		otel.Handle(fmt.Errorf("send the last spans: %w", err))
	}
}
