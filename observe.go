package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// buildInfo tells which build runs.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audit_build_info", Help: "1, with the operator's version and Go's as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}
