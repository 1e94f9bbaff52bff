package main

import (
	"crypto/tls"
	"errors"
	goflag "flag"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

type options struct {
	dataDir          string
	clusterName      string
	namespace        string
	retention        time.Duration
	maxBytesInFlight int64
	ingestAddress    string
	ingestURL        string
	dashboardAddress string
	dashboardURL     string
	dashboardCert    string
	dashboardKey     string
	healthAddress    string
	metricsAddress   string
	version          bool
	log              zap.Options
}

// parse reads the command line. Its error says everything that is wrong with it.
func parse(args []string, out io.Writer) (*options, error) {
	o := &options{log: zap.Options{TimeEncoder: zapcore.ISO8601TimeEncoder}}
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprintf(out, "The audit operator: collects API audit events and answers AuditLogQueries.\n\nUsage:\n"+
			"  manager --cluster-name=<name> --ingest-url=<url> [flags]\n\nFlags:\n%s", flags.FlagUsages())
	}
	flags.StringVar(&o.clusterName, "cluster-name", "", "name of the operator's own cluster; namespaced queries see sources of this cluster (required)")
	flags.StringVar(&o.ingestURL, "ingest-url", "", "https URL at which API servers reach the collector, like https://10.0.0.5:8443 (required)")
	flags.StringVar(&o.ingestAddress, "ingest-bind-address", ":8443", "address that the collector listens on")
	flags.Int64Var(&o.maxBytesInFlight, "max-bytes-in-flight", 256<<20, "memory for deliveries that are read at once, in bytes; above it sources are put off")
	flags.StringVar(&o.dataDir, "data-dir", "data", "folder of the store; it must survive a restart")
	flags.DurationVar(&o.retention, "event-retention", 720*time.Hour, "how long events are kept; whole UTC days are dropped")
	flags.StringVar(&o.dashboardURL, "dashboard-url", "", "address that people open; share URLs begin with it, and there are none without it")
	flags.StringVar(&o.dashboardAddress, "dashboard-bind-address", ":8080", "address that the dashboard listens on")
	flags.StringVar(&o.dashboardCert, "dashboard-tls-cert-file", "", "certificate for the dashboard; plain HTTP without it")
	flags.StringVar(&o.dashboardKey, "dashboard-tls-key-file", "", "key of the dashboard's certificate")
	flags.StringVar(&o.namespace, "namespace", "audit-system", "namespace of the operator's Secrets")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address of /metrics, by HTTPS, for who may get that path; 0 for none")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	logFlags := goflag.NewFlagSet("log", goflag.ContinueOnError)
	o.log.BindFlags(logFlags)
	flags.AddGoFlagSet(logFlags)
	flags.AddGoFlagSet(goflag.CommandLine) // controller-runtime's --kubeconfig
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return nil, err
		}
		return nil, fmt.Errorf("%w; see manager --help", err)
	}
	if o.version {
		return o, nil
	}
	if extra := flags.Args(); len(extra) > 0 {
		return nil, fmt.Errorf("unexpected arguments %q; see manager --help", extra)
	}
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("%w\nsee manager --help", err)
	}
	return o, nil
}

var clusterNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)

func (o *options) validate() error {
	var errs []error
	wrong := func(flag, problem string) { errs = append(errs, fmt.Errorf("--%s: %s", flag, problem)) }
	if !clusterNames.MatchString(o.clusterName) {
		wrong("cluster-name", "give at most 63 lower-case letters, digits, - and ., like prod-eu")
	}
	if !isBase(o.ingestURL, "https") {
		wrong("ingest-url", "give an https URL without a query that API servers can reach, like https://10.0.0.5:8443")
	}
	if o.dashboardURL != "" && !isBase(o.dashboardURL, "https", "http") {
		wrong("dashboard-url", "give an http or https URL without a path, like https://audit.example.com")
	} else if u, err := url.Parse(o.dashboardURL); err == nil && strings.Trim(u.Path, "/") != "" {
		wrong("dashboard-url", "give it without a path; the pages lie under /security")
	}
	if o.retention < time.Hour {
		wrong("event-retention", "give at least 1h")
	}
	if (o.dashboardCert == "") != (o.dashboardKey == "") {
		wrong("dashboard-tls-cert-file", "give it and --dashboard-tls-key-file, or neither")
	}
	if o.maxBytesInFlight < 1<<20 {
		wrong("max-bytes-in-flight", "give at least 1048576")
	}
	for flag, value := range map[string]string{"data-dir": o.dataDir, "namespace": o.namespace} {
		if value == "" {
			wrong(flag, "must not be empty")
		}
	}
	return errors.Join(errs...)
}

func isBase(address string, schemes ...string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return true
		}
	}
	return false
}

// secure reports whether browsers reach the dashboard by HTTPS alone.
func (o *options) secure() bool {
	return o.dashboardCert != "" || strings.HasPrefix(o.dashboardURL, "https://")
}

func modernTLS(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
}
