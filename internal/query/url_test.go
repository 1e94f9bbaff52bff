package query

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/porter-dev/audit-operator/internal/audit"
)

var equalPrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestEncode(t *testing.T) {
	yes := true
	for _, tc := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"zero", Filter{}, ""},
		{"types", Filter{Terms: Terms{ResourceTypes: []string{"application", "environment_group"}}}, "resource_type=application&resource_type=environment_group"},
		{"the default range is left out", Filter{Range: TimeRange{Preset: Last7Days}}, ""},
		{"preset", Filter{Range: TimeRange{Preset: LastHour}}, "range=last_hour"},
		{"duration", Filter{Range: TimeRange{Duration: "90d"}}, "range=90d"},
		{"absolute", Filter{Range: TimeRange{From: time.Date(2026, 11, 1, 0, 0, 0, 1000, time.UTC)}}, "from=2026-11-01T00%3A00%3A00.000001Z"},
		{"what incident responders ask for", Filter{
			Terms:   Terms{Sources: []string{"s"}, Resources: []string{"pods/exec"}, Groups: []string{"system:masters"}, AuditIDs: []string{"a"}, UserAgents: []string{"kubectl/"}},
			Exclude: Terms{Resources: []string{"*/scale"}, Groups: []string{"=dev*"}, AuditIDs: []string{"b"}, UserAgents: []string{"=c"}}, Truncated: &yes,
		}, "source=s&resource=pods%2Fexec&resource_exclude=%2A%2Fscale&group=system%3Amasters&group_exclude=%3Ddev%2A&audit_id=a&audit_id_exclude=b&user_agent=kubectl%2F&user_agent_exclude=%3Dc&truncated=true"},
		{"one field after the other", Filter{
			Terms:   Terms{Actors: []string{"b", "a"}, IPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")}},
			Exclude: Terms{Methods: []string{"GET"}},
			Search:  " pay&me ", DryRun: &yes,
		}, "actor=b&actor=a&method_exclude=GET&ip=10.0.0.0%2F8&ip=192.0.2.7&search=pay%26me&dry_run=true"},
		{"source and truncated", Filter{
			Terms:   Terms{Namespaces: []string{"shop"}, Sources: []string{"control-plane-1", audit.OwnSource}},
			Exclude: Terms{Sources: []string{"sample-apiserver"}}, Search: "a", Truncated: &yes, DryRun: &yes,
		}, "namespace=shop&source=control-plane-1&source=audit-operator&source_exclude=sample-apiserver&truncated=true&search=a&dry_run=true"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.filter.Encode()); diff != "" {
				t.Error(diff)
			}
		})
	}
	want := "https://audit.example.com/security/audit-logs?resource_type=application&resource_type=environment_group"
	f := Filter{Terms: Terms{ResourceTypes: []string{"application", "environment_group"}}}
	if got := ShareURL("https://audit.example.com/", f); got != want {
		t.Errorf("ShareURL = %s, want %s", got, want)
	}
}

// An action may leave its type open, and its end.
func TestActionPatterns(t *testing.T) {
	for action, problem := range map[string]string{
		"application.exec": "", "application.*": "", "*": "", "*.exec": "", "*.port*": "", "*.*": "", "*.a.b": "", "exec": "",
		"*.": "must say which action after *., like *.exec",
		"**": "may have one * at its end, and *. at its beginning for every resource type",
	} {
		for _, field := range []string{"action", "action_exclude"} {
			_, err := ParseValues(url.Values{field: {action}})
			var wrong *FieldError
			switch {
			case problem == "" && err != nil:
				t.Errorf("%s=%s: %v", field, action, err)
			case problem != "" && (!errors.As(err, &wrong) || wrong.Problem != problem || wrong.Field != field):
				t.Errorf("%s=%s: %v, want %q", field, action, err, problem)
			}
		}
	}
	for _, wrong := range []string{"*exec", "*.*.exec", "app*.exec", "*.a*b", "*.**"} {
		if _, err := ParseValues(url.Values{"action": {wrong}}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
	for _, field := range []string{"actor", "resource_name"} {
		if _, err := ParseValues(url.Values{field: {"*.exec"}}); err == nil {
			t.Errorf("%s takes *.exec", field)
		}
	}
}

func TestParseValues(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want Filter
	}{
		{"", Filter{}},
		{"resource_type=&search=+&range=&dry_run=", Filter{}},
		{"method=get&method=GET&status_code=5XX", Filter{Terms: Terms{Methods: []string{"GET"}, StatusCodes: []string{"5xx"}}}},
		{"ip=10.1.2.3/8&ip=::ffff:192.0.2.1", Filter{Terms: Terms{IPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32")}}}},
		{"range=last_7_days", Filter{}},
		{"from=2026-11-01T00:00", Filter{Range: TimeRange{From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}}},
		{"namespace=-", Filter{Terms: Terms{Namespaces: []string{NoNamespace}}}},
	} {
		values, err := url.ParseQuery(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseValues(values)
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
		}
		if diff := cmp.Diff(tc.want, got, equalPrefixes); diff != "" {
			t.Errorf("%q: %s", tc.in, diff)
		}
	}
}

func TestParseValuesRefuses(t *testing.T) {
	for in, field := range map[string]string{
		"resource_types=application": "resource_types",
		"resource_type=Application":  "resource_type",
		"method=FETCH":               "method",
		"method_exclude=FETCH":       "method_exclude",
		"status_code=6xx":            "status_code",
		"status_code=40":             "status_code",
		"ip=10.0.0.0/33":             "ip",
		"ip=fe80::1%25eth0":          "ip",
		"ip_exclude=nowhere":         "ip_exclude",
		"actor=a*b":                  "actor",
		"client=browser":             "client",
		"stage=Done":                 "stage",
		"range=yesterday":            "range",
		"range=20000w":               "range",
		"range=0d":                   "range",
		"range=1h&from=2026-11-01":   "from",
		"from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z":                 "from",
		"to=2026-11-01T00:00:00Z":                                           "from",
		"range=last_hour&from=2026-11-02T00:00:00Z&to=2026-11-03T00:00:00Z": "range",
		"from=0001-01-01T00:00:00Z":                                         "from",
		"search=a&search=b":                                                 "search",
		"dry_run=maybe":                                                     "dry_run",
		"truncated=1":                                                       "truncated",
		"truncated=true&truncated=false":                                    "truncated",
		"truncated_exclude=true":                                            "truncated_exclude",
		"source=s*":                                                         "source",
		"source_exclude=%00":                                                "source_exclude",
		"search=" + strings.Repeat("x", 256):                                "search",
		"actor=" + strings.Repeat("x", 257):                                 "actor",
		"actor=%00":                                                         "actor",
		"actor=%ff":                                                         "actor",
		"namespace=shop*":                                                   "namespace",
		"resource=pods*":                                                    "resource", "resource=*": "resource", "resource=*/": "resource", "resource=*/*": "resource", "resource=*/*/exec": "resource", "resource=pods/*": "resource",
		"resource=deployments": "resource", "resource_exclude=deployments/scale": "resource_exclude", "resource=" + strings.Repeat("x", 771): "resource",
		"group=dev*": "group", "group_exclude=" + strings.Repeat("x", 257): "group_exclude",
		"audit_id=a*": "audit_id", "user_agent=a*b": "user_agent", "user_agent=**": "user_agent", "user_agent_exclude=" + strings.Repeat("x", 1025): "user_agent_exclude",
	} {
		values, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseValues(values)
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%q: error %v, want one of the field %s", in, err, field)
		}
		if diff := cmp.Diff(Filter{}, got, equalPrefixes); diff != "" {
			t.Errorf("%q: a filter came with the error: %s", in, diff)
		}
	}
	values := url.Values{}
	for i := range 101 {
		values.Add("actor", strings.Repeat("a", i+1))
	}
	if _, err := ParseValues(values); err == nil {
		t.Error("101 actors were accepted")
	}
}

// filters generates valid filters as ParseValues would return them.
func filters() *rapid.Generator[Filter] {
	return rapid.Custom(func(t *rapid.T) Filter {
		f := Filter{Terms: terms().Draw(t, "terms"), Exclude: terms().Draw(t, "exclude")}
		f.Search = strings.TrimSpace(rapid.StringN(0, 20, 100).Filter(isText).Draw(t, "search"))
		switch rapid.IntRange(0, 4).Draw(t, "range") {
		case 0:
			f.Range.Preset = rapid.SampledFrom([]Preset{LastHour, Last24Hours, Last30Days}).Draw(t, "preset")
		case 1:
			f.Range.Duration = rapid.StringMatching(`[1-9][0-9]{0,4}[mh]|[1-9][0-9]{0,3}d|[1-9][0-9]{0,2}w`).Draw(t, "duration")
		case 2, 3:
			f.Range.From = time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "from")).UTC()
			if rapid.Bool().Draw(t, "open") {
				f.Range.To = f.Range.From.Add(time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "length")) * time.Microsecond)
			}
		}
		if rapid.Bool().Draw(t, "dry") {
			dryRun := rapid.Bool().Draw(t, "dryRun")
			f.DryRun = &dryRun
		}
		if rapid.Bool().Draw(t, "cut") {
			truncated := rapid.Bool().Draw(t, "truncated")
			f.Truncated = &truncated
		}
		return f
	})
}

func isText(s string) bool { return textual(s) == "" }

func terms() *rapid.Generator[Terms] {
	return rapid.Custom(func(t *rapid.T) Terms {
		list := func(name string, values *rapid.Generator[string]) []string {
			out := rapid.SliceOfNDistinct(values, 0, 3, rapid.ID).Draw(t, name)
			if len(out) == 0 {
				return nil
			}
			return out
		}
		// Any text, as what matches it alone. Within a namespace - is a text as any.
		words := rapid.Map(rapid.OneOf(rapid.StringN(1, 12, 40).Filter(isText), rapid.StringMatching("[=*a-]{1,4}")), func(s string) string { return Literal("actor", s) })
		var ips []netip.Prefix
		for _, s := range list("ips", rapid.SampledFrom([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "0.0.0.0/0"})) {
			p, err := ParsePrefix(s)
			if err != nil {
				t.Fatal(err)
			}
			ips = append(ips, p)
		}
		out := Terms{
			ResourceTypes: list("types", rapid.StringMatching(`[a-z][a-z0-9_]{0,9}`)),
			Methods:       list("methods", rapid.SampledFrom(audit.Methods)),
			Actions:       list("actions", rapid.Map(words.Filter(func(s string) bool { return s[0] != '=' }), func(s string) string { return []string{s + "*", "*." + s, "*." + s + "*"}[len(s)%3] })),
			IPs:           ips,
			StatusCodes:   list("codes", rapid.SampledFrom([]string{"200", "403", "5xx"})),
			Clients:       list("clients", rapid.SampledFrom(audit.Clients)),
			Stages:        list("stages", rapid.SampledFrom(audit.Stages)),
			Resources:     list("resources", rapid.SampledFrom([]string{"pods", "deployments.apps", "*/exec"})),
			UserAgents:    list("agents", rapid.SampledFrom([]string{"kubectl/", "*"})),
		}
		for _, field := range Fields {
			if !field.Text || field.Name == "action" {
				continue
			}
			for _, word := range list(field.Name, words) {
				if err := field.Add(&out, Literal(field.Name, Exact(word))); err != nil {
					t.Fatal(err)
				}
			}
		}
		return out
	})
}

func TestURLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := filters().Draw(t, "filter")
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		values, err := url.ParseQuery(f.Encode())
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseValues(values)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, got, equalPrefixes); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseValues(f *testing.F) {
	f.Add("resource_type=application&method_exclude=GET&range=90d&search=x")
	f.Add("source=s&source_exclude=audit-operator&truncated=false")
	f.Add("actor==a*&actor===x&namespace==-&namespace=-&cluster_exclude==a&source==")
	f.Add("resource=*/exec&resource==*/exec&resource==deployments&resource_exclude=pods/exec&group=dev&group==dev*&group_exclude==&audit_id==*&user_agent=kubectl/*&user_agent=**&user_agent==a&user_agent_exclude=*")
	f.Add("from=2026-11-01T00:00:00.5%2B02:00&ip=::ffff:10.0.0.1/104&dry_run=true")
	f.Fuzz(func(t *testing.T, in string) {
		values, err := url.ParseQuery(in)
		if err != nil {
			return
		}
		first, err := ParseValues(values)
		if err != nil {
			return
		}
		values, err = url.ParseQuery(first.Encode())
		if err != nil {
			t.Fatal(err)
		}
		second, err := ParseValues(values)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", in, first.Encode(), err)
		}
		if diff := cmp.Diff(first, second, equalPrefixes); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCursor(t *testing.T) {
	f := Filter{Terms: Terms{Methods: []string{"POST"}}}
	at := time.Date(2026, 11, 2, 3, 4, 5, 6000, time.UTC)
	c := Cursor{
		Position:   Position{OccurredAt: at, ID: audit.ID{1, 2, 15: 3}},
		Window:     Window{From: at.Add(-time.Hour), To: at.Add(time.Hour)},
		FilterHash: f.Hash(),
	}
	got, err := DecodeCursor(c.Encode(), f)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got); diff != "" {
		t.Error(diff)
	}
	outside := c
	outside.Position.OccurredAt = c.Window.To
	for name, bad := range map[string]string{
		"empty": "", "cut off": c.Encode()[:20], "longer": c.Encode() + "AAAA", "outside of its window": outside.Encode(),
	} {
		if _, err := DecodeCursor(bad, f); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: error %v, want ErrCursor", name, err)
		}
	}
	at = time.UnixMicro(0)
	for name, tc := range map[string]struct {
		from, to time.Time
		ok       bool
	}{
		"whole":              {time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), true},
		"ends in year 10000": {at, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), false},
		"begins before 1":    {time.Date(0, 12, 31, 23, 59, 59, 999999000, time.UTC), at.Add(time.Hour), false},
		"ends at the end":    {at, time.UnixMicro(math.MaxInt64), false},
		"begins at the end":  {time.UnixMicro(math.MinInt64), at.Add(time.Hour), false},
	} {
		far := Cursor{Position: Position{OccurredAt: at}, Window: Window{From: tc.from, To: tc.to}, FilterHash: f.Hash()}
		if _, err := DecodeCursor(far.Encode(), f); tc.ok != (err == nil) || err != nil && !errors.Is(err, ErrCursor) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := DecodeCursor(c.Encode(), Filter{}); !errors.Is(err, ErrCursor) {
		t.Errorf("another filter: error %v, want ErrCursor", err)
	}
}

func FuzzDecodeCursor(f *testing.F) {
	at := time.UnixMicro(1).UTC()
	f.Add(Cursor{Position: Position{OccurredAt: at}, Window: Window{From: at, To: at.Add(time.Second)}, FilterHash: Filter{}.Hash()}.Encode())
	far := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Add(Cursor{Position: Position{OccurredAt: at}, Window: Window{From: at, To: far}, FilterHash: Filter{}.Hash()}.Encode())
	f.Fuzz(func(t *testing.T, in string) {
		c, err := DecodeCursor(in, Filter{})
		if err == nil && c.Encode() != in {
			t.Fatalf("%q decodes to what is written as %q", in, c.Encode())
		}
		// An answer writes the window.
		if _, failed := json.Marshal(c); err == nil && failed != nil {
			t.Fatalf("%q can't be written: %v", in, failed)
		}
	})
}

func TestResolve(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 1500, time.UTC)
	cut := now.Truncate(time.Microsecond)
	for _, tc := range []struct {
		in   TimeRange
		want Window
	}{
		{TimeRange{}, Window{From: cut.Add(-7 * 24 * time.Hour), To: cut}},
		{TimeRange{Preset: LastHour}, Window{From: cut.Add(-time.Hour), To: cut}},
		{TimeRange{Duration: "2w"}, Window{From: cut.Add(-14 * 24 * time.Hour), To: cut}},
		{TimeRange{From: cut.Add(-time.Minute)}, Window{From: cut.Add(-time.Minute), To: cut}},
		{TimeRange{From: cut.Add(-time.Minute), To: cut.Add(time.Hour)}, Window{From: cut.Add(-time.Minute), To: cut.Add(time.Hour)}},
	} {
		got, err := tc.in.Resolve(now)
		if err != nil {
			t.Errorf("%+v: %v", tc.in, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%+v: %s", tc.in, diff)
		}
	}
	if _, err := (TimeRange{From: now.Add(time.Hour)}).Resolve(now); err == nil {
		t.Error("a range that starts after now was accepted")
	}
}
