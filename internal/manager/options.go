package manager

import (
	"errors"
	goflag "flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store/retention"
	"github.com/porter-dev/audit-operator/internal/storeurl"
)

type options struct {
	store            string
	storeReadURL     string
	dataDir          string
	clusterName      string
	namespace        string
	platform         []string
	retention        time.Duration
	maxBytesInFlight int64
	concurrentReads  int
	quota            quotaOptions
	ingestAddress    string
	ingestURL        string
	dashboardAddress string
	dashboardURL     string
	recordViews      bool
	dashboardCert    string
	dashboardKey     string
	login            loginOptions
	healthAddress    string
	metricsAddress   string
	drainTimeout     time.Duration
	tracingEndpoint  string
	tracingRatio     float64
	version          bool
	log              zap.Options
}

const (
	maxPlatformNamespaces = 200

	maxDrain = 10 * time.Minute
)

// parse reads the command line. Its error says everything that is wrong with it.
func parse(args []string, out io.Writer) (*options, error) {
	o := &options{log: zap.Options{TimeEncoder: zapcore.ISO8601TimeEncoder}}
	flags := o.flags(out)
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
		return nil, fmt.Errorf("unexpected arguments %q; see manager --help", storeurl.Redact(extra))
	}
	errs := []error{o.validate()}
	o.login.validate(o.dashboardURL, flags.Changed, func(flag, problem string) { errs = append(errs, fmt.Errorf("--%s: %s", flag, problem)) })
	if flags.Changed("tracing-sample-ratio") && o.tracingEndpoint == "" {
		errs = append(errs, errors.New("--tracing-sample-ratio: has no effect without --tracing-endpoint"))
	}
	if flags.Changed("data-dir") && storeurl.IsDatabase(o.store) {
		errs = append(errs, errors.New("--data-dir: has no effect with a database as --store"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w\nsee manager --help", err)
	}
	return o, nil
}

// flags returns the flags that fill in the options. docs/operations/configuration.md
// says what they are for.
func (o *options) flags(out io.Writer) *pflag.FlagSet {
	flags := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.SortFlags = false
	flags.Usage = func() {
		fmt.Fprintf(out, "The audit operator: collects API audit events and answers AuditLogQueries.\n\nUsage:\n"+
			"  manager --cluster-name=<name> --ingest-url=<url> [flags]\n"+
			"  manager backup|restore [flags]    copy the embedded store of a running manager, or make one of a copy\n"+
			"  manager copy [flags]              copy one store to another\n"+
			"  manager migrate [flags]           bring a PostgreSQL database to the schema that this version needs\n"+
			"  manager retain [flags]            show the days that are past the retention, and drop them\n\nFlags:\n%s", flags.FlagUsages())
	}
	flags.StringVar(&o.clusterName, "cluster-name", "", "name of the operator's own cluster; namespaced queries see sources of this cluster (required)")
	flags.StringVar(&o.ingestURL, "ingest-url", "", "https URL at which API servers reach the collector, like https://10.0.0.5:8443 (required)")
	flags.StringVar(&o.ingestAddress, "ingest-bind-address", ":8443", "address that the collector listens on")
	flags.Int64Var(&o.maxBytesInFlight, "max-bytes-in-flight", 256<<20, "memory for requests that are read concurrently, in bytes; beyond it sources get 503")
	flags.IntVar(&o.concurrentReads, "max-concurrent-reads", admission.DefaultAtOnce, "reads of the store that run at once, a third of them at most for one person or namespace")
	flags.StringVar(&o.store, "store", storeurl.Embedded, "where events are kept: embedded, or the URL of a PostgreSQL database, like postgres://audit@db/audit; postgres:// alone takes the PG* variables")
	flags.StringVar(&o.storeReadURL, "store-read-url", "", "URL of a standby of the database, which answers reads while it has caught up")
	flags.StringVar(&o.dataDir, "data-dir", "data", "folder of the embedded store; it must survive a restart")
	flags.DurationVar(&o.retention, "event-retention", 720*time.Hour, "how long events are kept; whole UTC days are dropped")
	flags.BoolVar(&o.recordViews, "record-views", true, "record who looks at the log, and refused log-ins, as events of the operator's own; exports, downloads and log-ins are always recorded")
	o.quota.flags(flags)
	flags.StringVar(&o.dashboardURL, "dashboard-url", "", "base URL of the dashboard, which share URLs begin with; without it there are none")
	flags.StringVar(&o.dashboardAddress, "dashboard-bind-address", ":8080", "address that the dashboard listens on")
	flags.StringVar(&o.dashboardCert, "dashboard-tls-cert-file", "", "certificate for the dashboard; plain HTTP without it")
	flags.StringVar(&o.dashboardKey, "dashboard-tls-key-file", "", "key of the dashboard's certificate")
	o.login.flags(flags)
	flags.StringVar(&o.namespace, "namespace", "audit-system", "namespace of the operator's Secrets")
	flags.StringSliceVar(&o.platform, "platform-namespaces", audit.DefaultPlatformNamespaces(), "namespaces whose workloads are add-ons; one trailing * matches any rest")
	flags.StringVar(&o.healthAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", "0", "address of /metrics and /debug/pprof, by HTTPS, for who may get the path; 0 for none")
	flags.DurationVar(&o.drainTimeout, "drain-timeout", 20*time.Second, "how long running requests may take to finish when the operator ends; the Pod's grace period must be 20s longer")
	flags.StringVar(&o.tracingEndpoint, "tracing-endpoint", "", "URL that traces are sent to by OTLP over HTTP, like http://collector:4318; disabled if empty")
	flags.Float64Var(&o.tracingRatio, "tracing-sample-ratio", 0.05, "part of all traces that is kept, from 0 to 1")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	logFlags := goflag.NewFlagSet("log", goflag.ContinueOnError)
	o.log.BindFlags(logFlags)
	flags.AddGoFlagSet(logFlags)
	flags.AddGoFlagSet(goflag.CommandLine) // controller-runtime's --kubeconfig
	return flags
}

var (
	clusterNames   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)
	namespaceNames = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// The star alone would take every namespace.
	namespacePatterns = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$|^[a-z0-9][-a-z0-9]{0,61}\*$`)
)

func (o *options) validate() error {
	var errs []error
	wrong := func(flag, problem string) { errs = append(errs, fmt.Errorf("--%s: %s", flag, problem)) }
	if !clusterNames.MatchString(o.clusterName) {
		wrong("cluster-name", "give at most 63 lower-case letters, digits, - and ., like prod-eu")
	}
	if !isBaseURL(o.ingestURL, "https") {
		wrong("ingest-url", "give an https URL without a query that API servers can reach, like https://10.0.0.5:8443")
	}
	if o.dashboardURL != "" && !isBaseURL(o.dashboardURL, "https", "http") {
		wrong("dashboard-url", "give an http or https URL without a path, like https://audit.example.com")
	} else if u, err := url.Parse(o.dashboardURL); err == nil && strings.Trim(u.Path, "/") != "" {
		wrong("dashboard-url", "give it without a path; the pages lie under /security")
	}
	if (o.dashboardCert == "") != (o.dashboardKey == "") {
		wrong("dashboard-tls-cert-file", "give it and --dashboard-tls-key-file, or neither")
	} else if o.dashboardCert != "" && strings.HasPrefix(o.dashboardURL, "http://") {
		wrong("dashboard-url", "give an https URL: the dashboard has a certificate")
	}
	if err := retention.Validate(o.retention); err != nil {
		wrong("event-retention", err.Error())
	}
	if o.drainTimeout < time.Second || o.drainTimeout > maxDrain {
		wrong("drain-timeout", "give from 1s to 10m")
	}
	if o.tracingEndpoint != "" && !isBaseURL(o.tracingEndpoint, "https", "http") {
		wrong("tracing-endpoint", "give an http or https URL without a query, like http://collector:4318")
	}
	if !(o.tracingRatio >= 0 && o.tracingRatio <= 1) { // neither is NaN
		wrong("tracing-sample-ratio", "give a number from 0 to 1")
	}
	if o.maxBytesInFlight < 1<<20 {
		wrong("max-bytes-in-flight", "give at least 1048576")
	}
	if o.concurrentReads < admission.MinAtOnce || o.concurrentReads > admission.MaxAtOnce {
		wrong("max-concurrent-reads", fmt.Sprintf("give a number from %d to %d", admission.MinAtOnce, admission.MaxAtOnce))
	}
	o.quota.validate(storeurl.IsDatabase(o.store), wrong)
	o.validateStore(wrong)
	if o.dataDir == "" || strings.Contains(o.dataDir, "?") {
		wrong("data-dir", "give a folder without a question mark in its path")
	}
	if !namespaceNames.MatchString(o.namespace) {
		wrong("namespace", "give the name of a namespace, like audit-system")
	}
	if len(o.platform) > maxPlatformNamespaces {
		wrong("platform-namespaces", fmt.Sprintf("give at most %d names, not %d", maxPlatformNamespaces, len(o.platform)))
	} else if i := slices.IndexFunc(o.platform, func(p string) bool { return !namespacePatterns.MatchString(p) }); i >= 0 {
		wrong("platform-namespaces", fmt.Sprintf("%q is no name of a namespace; give names with commas between, each with one * at its end perhaps, like kube-system,openshift-*", storeurl.Redact(o.platform[i : i+1])[0]))
	}
	o.validateAddresses(wrong)
	return errors.Join(errs...)
}

// validateStore quotes nothing: a URL may hold a password. What else is wrong
// with one is said when it is opened.
func (o *options) validateStore(wrong func(flag, problem string)) {
	if err := storeurl.Validate(o.store); err != nil {
		wrong("store", err.Error())
	}
	switch {
	case o.storeReadURL == "":
	case o.store == storeurl.Embedded:
		wrong("store-read-url", "has no effect without a database as --store")
	case !storeurl.IsDatabase(o.storeReadURL):
		wrong("store-read-url", "give the URL of a standby, like postgres://audit@standby.example.com/audit")
	}
}

// validateAddresses checks that each part has an address of its own.
func (o *options) validateAddresses(wrong func(flag, problem string)) {
	taken := map[string]string{}
	for _, a := range []struct{ flag, address string }{
		{"ingest-bind-address", o.ingestAddress}, {"dashboard-bind-address", o.dashboardAddress},
		{"health-probe-bind-address", o.healthAddress}, {"metrics-bind-address", o.metricsAddress},
	} {
		if a.flag == "metrics-bind-address" && a.address == "0" {
			continue
		}
		_, port, err := net.SplitHostPort(a.address)
		number, notNumber := strconv.ParseUint(port, 10, 16)
		switch other := taken[a.address]; {
		case err != nil || notNumber != nil:
			wrong(a.flag, "give an address and a port, like :8443 or 127.0.0.1:8443")
		case number != 0 && other != "":
			wrong(a.flag, "has the address of --"+other)
		}
		taken[a.address] = a.flag
	}
}

func isBaseURL(address string, schemes ...string) bool {
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
