package manager

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestParse(t *testing.T) {
	required := []string{"--cluster-name=prod-eu", "--ingest-url=https://10.0.0.5:8443"}
	tests := []struct {
		name  string
		args  []string
		wrong []string // each is in the error; none means that the line is taken
	}{
		{"least", required, nil},
		{"dashboard", append(required, "--dashboard-url=https://audit.example.com/"), nil},
		{"nothing", nil, []string{"--cluster-name: ", "--ingest-url: ", "see manager --help"}},
		{"plain ingest", []string{"--cluster-name=x", "--ingest-url=http://10.0.0.5"}, []string{"--ingest-url: give an https URL"}},
		{"cluster name", []string{"--cluster-name=Prod EU", required[1]}, []string{"--cluster-name: "}},
		{"dashboard path", append(required, "--dashboard-url=https://x.example/audit"), []string{"--dashboard-url: give it without a path"}},
		{"dashboard scheme", append(required, "--dashboard-url=javascript:alert(1)"), []string{"--dashboard-url: "}},
		{"half a certificate", append(required, "--dashboard-tls-cert-file=x"), []string{"--dashboard-tls-key-file"}},
		{"retention", append(required, "--event-retention=5m"), []string{"--event-retention: "}},
		{"every namespace", append(required, "--platform-namespaces=*"), []string{`--platform-namespaces: "*" is no name`}},
		{"star within", append(required, "--platform-namespaces=kube-system,a*b"), []string{`--platform-namespaces: "a*b" is no name`}},
		{"too many namespaces", append(required, "--platform-namespaces="+strings.Repeat("a,", 200)+"a"), []string{"--platform-namespaces: give at most 200 names, not 201"}},
		{"endless retention", append(required, "--event-retention=100000h"), []string{"--event-retention: "}},
		{"drain", append(required, "--drain-timeout=0s"), []string{"--drain-timeout: give from 1s to 10m"}},
		{"certificate without https", append(required, "--dashboard-tls-cert-file=x", "--dashboard-tls-key-file=y", "--dashboard-url=http://a.example"), []string{"--dashboard-url: give an https URL"}},
		{"question mark", append(required, "--data-dir=a?b"), []string{"--data-dir: "}},
		{"database", append(required, "--store=postgres://", "--store-read-url=postgresql://standby/audit"), nil},
		{"unknown store", append(required, "--store=mysql://root:s3cret@db"), []string{"--store: give embedded, or the URL of a database"}},
		{"standby of nothing", append(required, "--store-read-url=postgres://db"), []string{"--store-read-url: has no effect without a database"}},
		{"standby of another kind", append(required, "--store=postgres://", "--store-read-url=s3cret"), []string{"--store-read-url: give the URL of a standby"}},
		{"folder of a database", append(required, "--store=postgres://", "--data-dir=/data"), []string{"--data-dir: has no effect with a database"}},
		{"namespace", append(required, "--namespace=Audit"), []string{"--namespace: "}},
		{"no port", append(required, "--ingest-bind-address=127.0.0.1"), []string{"--ingest-bind-address: give an address and a port"}},
		{"port out of range", append(required, "--health-probe-bind-address=:70000"), []string{"--health-probe-bind-address: give an address and a port"}},
		{"one address twice", append(required, "--metrics-bind-address=:8080"), []string{"--metrics-bind-address: has the address of --dashboard-bind-address"}},
		{"any ports", append(required, "--ingest-bind-address=127.0.0.1:0", "--dashboard-bind-address=127.0.0.1:0"), nil},
		{"all at once", append(required, "--event-retention=5m", "--max-bytes-in-flight=1", "--namespace="), []string{"--event-retention: ", "--max-bytes-in-flight: ", "--namespace: "}},
		{"fewest reads", append(required, "--max-concurrent-reads=3"), nil},
		{"too few reads", append(required, "--max-concurrent-reads=2"), []string{"--max-concurrent-reads: give a number from 3 to 64"}},
		{"most reads", append(required, "--max-concurrent-reads=64"), nil},
		{"too many reads", append(required, "--max-concurrent-reads=65"), []string{"--max-concurrent-reads: give a number from 3 to 64"}},
		{"tracing", append(required, "--tracing-endpoint=http://collector:4318", "--tracing-sample-ratio=1"), nil},
		{"tracing without scheme", append(required, "--tracing-endpoint=collector:4318"), []string{"--tracing-endpoint: give an http or https URL"}},
		{"tracing with a password", append(required, "--tracing-endpoint=http://user:password@collector:4318"), []string{"--tracing-endpoint: give an http or https URL"}},
		{"tracing too much", append(required, "--tracing-endpoint=http://collector:4318", "--tracing-sample-ratio=NaN"), []string{"--tracing-sample-ratio: give a number from 0 to 1"}},
		{"tracing nowhere", append(required, "--tracing-sample-ratio=1"), []string{"--tracing-sample-ratio: has no effect without --tracing-endpoint"}},
		{"sessions", append(required, "--session-lifetime=24h"), nil},
		{"endless sessions", append(required, "--session-lifetime=25h"), []string{"--session-lifetime: give from 5m to 24h"}},
		{"provider", append(required, "--dashboard-url=https://a.example", "--oidc-issuer-url=https://id.example", "--oidc-client-id=audit", "--oidc-groups-prefix=oidc:"), nil},
		{"provider without client", append(required, "--dashboard-url=https://a.example", "--oidc-issuer-url=https://id.example"), []string{"--oidc-client-id: "}},
		{"provider without dashboard", append(required, "--oidc-issuer-url=https://id.example", "--oidc-client-id=audit"), []string{"--dashboard-url: is needed"}},
		{"plain provider", append(required, "--dashboard-url=https://a.example", "--oidc-issuer-url=http://id.example", "--oidc-client-id=audit"), []string{"--oidc-issuer-url: give the https URL"}},
		{"provider with a password", append(required, "--oidc-issuer-url=https://me:s3cret@id.example"), []string{"--oidc-issuer-url: "}},
		{"provider, system", append(required, "--dashboard-url=https://a.example", "--oidc-issuer-url=https://id.example", "--oidc-client-id=audit", "--oidc-username-prefix=system:"), []string{"--oidc-username-prefix: must not begin with system:"}},
		{"client of nothing", append(required, "--oidc-client-id=audit", "--oidc-name=x"), []string{"--oidc-client-id: has no effect without --oidc-issuer-url", "--oidc-name: has no effect"}},
		{"proxies", append(required, "--proxy-trusted-cidrs=10.0.0.0/24,fd00::/64", "--proxy-group-separator=,"), nil},
		{"a proxy's address", append(required, "--proxy-trusted-cidrs=10.0.0.1"), []string{"--proxy-trusted-cidrs: give ranges"}},
		{"a mapped proxy", append(required, "--proxy-trusted-cidrs=10.0.0.0/24,::ffff:10.0.1.0/120"), []string{"--proxy-trusted-cidrs: give ranges of IPv4 as such, like 10.0.3.0/24"}},
		{"mapped proxies", append(required, "--proxy-trusted-cidrs=::ffff:10.0.0.0/80"), []string{"--proxy-trusted-cidrs: give ranges of IPv4 as such"}},
		{"every proxy", append(required, "--proxy-trusted-cidrs=0.0.0.0/0"), []string{"--proxy-trusted-cidrs: give ranges of addresses, like 10.0.3.0/24, and not all"}},
		{"headers of nobody", append(required, "--proxy-user-header=X-User"), []string{"--proxy-user-header: has no effect without --proxy-trusted-cidrs"}},
		{"header", append(required, "--proxy-trusted-cidrs=10.0.0.0/24", "--proxy-user-header=Authorization"), []string{"--proxy-user-header: give a header that the proxy sets"}},
		{"no duration", append(required, "--event-retention=30"), []string{"event-retention", "see manager --help"}},
		{"unknown", append(required, "--colour=red"), []string{"colour", "see manager --help"}},
		{"a URL as argument", append(required, "postgres://me:s3cret@db"), []string{`unexpected arguments ["postgres://…"]`}},
		{"arguments", append(required, "serve"), []string{`unexpected arguments ["serve"]`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			o, err := parse(tt.args, &out)
			if len(tt.wrong) == 0 {
				if err != nil || o.clusterName != "prod-eu" {
					t.Fatalf("%+v, %v", o, err)
				}
				return
			}
			for _, want := range tt.wrong {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want it to say %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if _, err := parse([]string{"--help"}, &out); !errors.Is(err, pflag.ErrHelp) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"manager --cluster-name=<name>", "--event-retention", "(default 720h0m0s)", "--kubeconfig"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help lacks %q", want)
		}
	}
}

func TestSecure(t *testing.T) {
	for url, want := range map[string]bool{"https://a": true, "http://a": false, "": false} {
		if got := (&options{dashboardURL: url}).secure(); got != want {
			t.Errorf("%q: secure %t", url, got)
		}
	}
}

// The handbook's table has every flag with its default, and no other.
func TestFlagTable(t *testing.T) {
	page := readText(t, "../../docs/operations/configuration.md")
	table := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| ([^|]+) \\| .+ \\|$").FindAllStringSubmatch(page, -1) {
		table[row[1]] = strings.Trim(row[2], "`")
	}
	// What the empty default of a flag stands for.
	meant := map[string]string{
		"cluster-name": "required", "ingest-url": "required", "zap-log-level": "info", "zap-encoder": "json",
		"zap-time-encoding": "iso8601", "zap-stacktrace-level": "error",
	}
	(&options{}).flags(io.Discard).VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "test.") {
			return // of the test's own binary
		}
		want := f.DefValue
		if want == "" {
			want = "none"
			if meant[f.Name] != "" {
				want = meant[f.Name]
			}
		}
		if got, ok := table[f.Name]; !ok || got != want {
			t.Errorf("--%s: the table has the default %q (%t), want %q", f.Name, got, ok, want)
		}
		delete(table, f.Name)
	})
	for name := range table {
		t.Errorf("the table has --%s, which does not exist", name)
	}
}
