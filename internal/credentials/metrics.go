package credentials

import (
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	certificateEnds = prometheus.NewDesc("audit_certificate_expiry_timestamp_seconds",
		"When a certificate that this replica uses ends: authority, which signs the others; serving, the collector's.", []string{"certificate"}, nil)
	copyBefore = prometheus.NewDesc("audit_source_files_copy_before_timestamp_seconds",
		"Before when the files of sources are to be copied to their nodes anew; 0 while they need not be.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *Serving) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- certificateEnds
	descriptions <- copyBefore
}

// Collect implements prometheus.Collector.
func (s *Serving) Collect(metrics chan<- prometheus.Metric) {
	for name, certificate := range map[string]*x509.Certificate{
		"authority": s.issuer.held.Load().current.certificate, "serving": s.current.Load().Leaf,
	} {
		metrics <- prometheus.MustNewConstMetric(certificateEnds, prometheus.GaugeValue, float64(certificate.NotAfter.Unix()), name)
	}
	until := 0.0
	if at := s.issuer.CopyBefore(); !at.IsZero() {
		until = float64(at.Unix())
	}
	metrics <- prometheus.MustNewConstMetric(copyBefore, prometheus.GaugeValue, until)
}
