package audit

import (
	"fmt"
	"strings"
	"testing"
)

func TestDryRun(t *testing.T) {
	const all, nonsense = "?dryRun=All", "?dryRun=nonsense"
	for name, tt := range map[string]struct {
		verb, subresource, query, level, body string
		more                                  string // members of the event
		want                                  DryRun
	}{
		"create":                           {verb: "create", query: all, want: DryRunTrue},
		"create, another spelling":         {verb: "create", query: "?dry%52un=%41ll", want: DryRunTrue},
		"create, twice":                    {verb: "create", query: "?dryRun=All&dryRun=All", want: DryRunTrue},
		"update of a status":               {verb: "update", subresource: "status", query: all, want: DryRunTrue},
		"patch":                            {verb: "patch", query: all, want: DryRunTrue},
		"patch, real":                      {verb: "patch", query: "?fieldManager=x", want: DryRunFalse},
		"patch, refused for the value":     {verb: "patch", query: nonsense, want: DryRunFalse},
		"another case":                     {verb: "patch", query: "?dryrun=All", want: DryRunFalse},
		"no value":                         {verb: "patch", query: "?dryRun=", want: DryRunFalse},
		"another parameter":                {verb: "patch", query: "?x=dryRun%3DAll", want: DryRunFalse},
		"a body of a create says nothing":  {verb: "create", level: "Request", body: `{"dryRun":["All"]}`, want: DryRunFalse},
		"get":                              {verb: "get", query: all, want: DryRunFalse},
		"list, refused for the value":      {verb: "list", query: nonsense, want: DryRunFalse},
		"watch":                            {verb: "watch", query: all, want: DryRunFalse},
		"exec":                             {verb: "create", subresource: "exec", query: all, want: DryRunFalse},
		"attach by WebSocket":              {verb: "get", subresource: "attach", query: all, want: DryRunFalse},
		"a machine's screen":               {verb: "create", subresource: "vnc", query: all, want: DryRunFalse},
		"deletion through a proxy":         {verb: "delete", subresource: "proxy/api", query: all, want: DryRunFalse},
		"delete":                           {verb: "delete", want: DryRunUnknown},
		"delete, the body may overrule it": {verb: "delete", query: all, want: DryRunUnknown},
		"delete, its options":              {verb: "delete", level: "Request", body: `{"kind":"DeleteOptions","dryRun":["All"]}`, want: DryRunTrue},
		"delete, real by its options":      {verb: "delete", query: all, level: "Request", body: `{"kind":"DeleteOptions","apiVersion":"v1"}`, want: DryRunFalse},
		"delete, empty options":            {verb: "delete", level: "Request", body: `{"dryRun":[]}`, want: DryRunFalse},
		"delete, null options":             {verb: "delete", level: "Request", body: `{"dryRun":null}`, want: DryRunFalse},
		"delete, escaped":                  {verb: "delete", level: "Request", body: `{"dry\u0052un":["\u0041ll"]}`, want: DryRunTrue},
		"delete, of another type":          {verb: "delete", level: "Request", body: `{"dryRun":"All"}`, want: DryRunUnknown},
		"delete, options left out":         {verb: "delete", level: "Request", body: `"[left out: 9 bytes, keyed hash 00]"`, want: DryRunUnknown},
		"delete without a body":            {verb: "delete", level: "Request", query: all, want: DryRunTrue},
		"delete without a body, real":      {verb: "delete", level: "RequestResponse", want: DryRunFalse},
		"delete whose body was dropped":    {verb: "delete", level: "Request", query: all, more: `"annotations":{"audit.k8s.io/truncated":"true"},`, want: DryRunUnknown},
		"deletecollection":                 {verb: "deletecollection", query: all, want: DryRunUnknown},
		"deletecollection, its options":    {verb: "deletecollection", level: "Request", body: `{"dryRun":["All"]}`, want: DryRunTrue},
		"eviction":                         {verb: "create", subresource: "eviction", want: DryRunUnknown},
		"eviction, its query":              {verb: "create", subresource: "eviction", query: all, want: DryRunTrue},
		"eviction, its options":            {verb: "create", subresource: "eviction", level: "Request", body: `{"deleteOptions":{"dryRun":["All"]}}`, want: DryRunTrue},
		"eviction, no options":             {verb: "create", subresource: "eviction", level: "Request", body: `{"kind":"Eviction"}`, want: DryRunFalse},
		"eviction, unreadable":             {verb: "create", subresource: "eviction", level: "Request", body: `{"deleteOptions":{"dryRun":7}}`, want: DryRunUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			more := tt.more
			if tt.body != "" {
				more += `"requestObject":` + tt.body + ","
			}
			level := tt.level
			if level == "" {
				level = "Metadata"
			}
			event := fmt.Sprintf(`{"level":%q,"stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/pods/web%s","verb":%q,%s"user":{},"objectRef":{"resource":"pods","namespace":"shop","name":"web","subresource":%q},"requestReceivedTimestamp":"2026-11-23T11:00:00.123456Z"}`,
				level, tt.query, tt.verb, more, tt.subresource)
			if got := one(t, newDecoder(t), event).DryRun; got != tt.want {
				t.Errorf("dry run is %s, want %s: %s", got, tt.want, event)
			}
		})
	}
	if got := (request{verb: "delete", uri: "/metrics?dryRun=All"}).event(t).DryRun; got != DryRunFalse {
		t.Errorf("a request for no resource: %s", got)
	}
}

func TestDryRunText(t *testing.T) {
	for _, d := range []DryRun{DryRunFalse, DryRunTrue, DryRunUnknown} {
		var read DryRun
		text, err := d.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := read.UnmarshalText(text); err != nil || read != d {
			t.Errorf("%s reads as %s, %v", text, read, err)
		}
	}
	var d DryRun
	if err := d.UnmarshalText([]byte(strings.Repeat("maybe", 10))); err == nil || len(err.Error()) > 80 {
		t.Errorf("maybe: %v", err)
	}
}

// A name that the API server made is in its answer alone.
func TestGeneratedName(t *testing.T) {
	const form = `{"level":"RequestResponse","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/%[1]s","verb":"create","user":{},"objectRef":{"resource":%[1]q,"namespace":"shop"%[2]s},"responseObject":%[3]s,"requestReceivedTimestamp":"2026-11-23T11:00:00.123456Z"}`
	for name, tt := range map[string]struct{ ref, answer, want string }{
		"generated":              {``, `{"kind":"Pod","metadata":{"generateName":"web-","name":"web-x7k2p"}}`, "web-x7k2p"},
		"given":                  {`,"name":"web"`, `{"metadata":{"name":"other"}}`, "web"},
		"refused":                {``, `{"kind":"Status","metadata":{},"status":"Failure"}`, ""},
		"of another type":        {``, `{"metadata":{"name":7}}`, ""},
		"no object":              {``, `"text"`, ""},
		"of a subresource, none": {`,"subresource":"binding"`, `{"metadata":{"name":"web"}}`, ""},
	} {
		if got := one(t, newDecoder(t), fmt.Sprintf(form, "pods", tt.ref, tt.answer)).ResourceName; got != tt.want {
			t.Errorf("%s: the name is %q, want %q", name, got, tt.want)
		}
	}
}
