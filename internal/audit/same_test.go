package audit

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/redact"
)

var lax = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// sameAsNaive decodes an object as it comes, as the item of a list and wrapped
// as a string.
func sameAsNaive(t *testing.T, d *Decoder, item []byte) {
	t.Helper()
	want, wantErr := naive(d, item)
	isJSON := jsontext.Value(item).IsValid(lax...)
	deliveries := map[string][]byte{"line": item, "list": audittest.List(item)}
	if quoted, err := jsontext.AppendQuote(nil, item); err == nil {
		deliveries["text"] = quoted
	}
	for name, delivery := range deliveries {
		var got []Item
		if err := d.Decode(bytes.NewReader(delivery), func(i Item) error { got = append(got, i); return nil }); err != nil {
			t.Fatal(err)
		}
		if !isJSON { // where it ends is anybody's guess
			continue
		}
		switch {
		case len(got) != 1:
			t.Errorf("%s: %d items of %q", name, len(got), item)
		case wantErr != nil && mendable(item): // TestDefects says what becomes of it
		case wantErr != nil && got[0].Quarantined == nil:
			t.Errorf("%s: an event, want %v: %q", name, wantErr, item)
		case wantErr != nil && got[0].Quarantined.Reason != wantErr.Error():
			t.Errorf("%s: reason %q, want %q: %q", name, got[0].Quarantined.Reason, wantErr, item)
		case wantErr == nil && got[0].Event == nil:
			t.Errorf("%s: quarantined (%s): %q", name, got[0].Quarantined.Reason, item)
		case wantErr == nil:
			asText := cmp.Transformer("text", func(b []byte) string { return string(b) })
			if diff := cmp.Diff(want, got[0].Event, cmpopts.EquateComparable(netip.Addr{}), asText); diff != "" {
				t.Errorf("%s: %q\n%s", name, item, diff)
			}
		}
	}
}

// mendable reports whether the library takes an item for no event that is one
// but for a part of it.
func mendable(item []byte) bool {
	p := newParser()
	return json.Unmarshal(item, new(naiveEvent), parseOptions) != nil && p.general(item) == nil
}

// oddities are events that differ from what API servers write in one way.
func oddities() [][]byte {
	var odd [][]byte
	for _, change := range [][2]string{
		{"", ""},
		{`{"level"`, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level"`},
		{`{"level"`, `{"kind":0,"level"`}, {`{"level"`, `{"kind":null,"level"`}, {`{"level"`, `{"kind":"","level"`}, {`{"level"`, `{"kind":"Po\u0064","level"`},
		{`"verb":"patch"`, `"verb":null`}, {`"verb":"patch"`, `"verb":""`}, {`"verb":"patch"`, `"verb":7`}, {`"verb":"patch"`, `"verb":"p\u0061tch"`},
		{`"verb":"patch"`, "\"verb\" :\n\"patch\""}, {`"verb":"patch"`, "\"verb\":\n\"patch\""}, {`"verb":"patch",`, "\"verb\":\"patch\"\n,"}, {`["dev"]`, `[ "dev" ]`}, {`"verb":"patch"`, `"verb":"patch","verb":"get"`}, {`"verb":"patch"`, `"v\u0065rb":"patch"`},
		{`"verb":"patch"`, `"verb":"patch","Verb":"get"`}, {`"verb":"patch"`, `"verb":"ü\u00fc\ud83d\ude00"`}, {`"verb":"patch"`, `"verb":"\ud83d"`},
		{`"verb":"patch"`, "\"verb\":\"\xff\""}, {`"verb":"patch"`, "\"verb\":\"\x01\""}, {`"verb":"patch"`, `"verb":"\x"`}, {`"verb":"patch"`, `"verb":"a\/b"`}, {`"verb":"patch"`, `"verb":"\u2028\/<>&"`},
		{`"verb":"patch",`, ``}, {`"verb":"patch"`, `"verb":"patch","extra":{"a":[1,{"token":"t"}]}`}, {`"verb":"patch"`, `"verb":"patch",`},
		{`"user":{`, `"user":{"more":{"password":"x"},`}, {`"groups":["dev"]`, `"groups":[]`}, {`"groups":["dev"]`, `"groups":[null]`}, {`"groups":["dev"]`, `"groups":null`},
		{`"groups":["dev"]`, `"groups":["dev",""]`}, {`"groups":["dev"]`, `"groups":["dev",]`}, {`"extra":{`, `"extra":{"z":[],"a":["\n"],`}, {`"extra":{`, `"extra":{"z":["1"],"z":["2"],`},
		{`"extra":{`, `"extra":{"a":null,`}, {`"extra":{`, `"extra":{"a":["1"],"\u0061":["2"],`}, {`"extra":{`, `"extra":{"x-token":["1","2"],`},
		{`"sourceIPs"`, `"impersonatedUser":{},"sourceIPs"`}, {`"sourceIPs"`, `"impersonatedUser":{"username":"bob","extra":{"api-key":["x"]}},"sourceIPs"`}, {`"sourceIPs"`, `"impersonatedUser":null,"sourceIPs"`},
		{`"sourceIPs"`, `"authenticationMetadata":{"impersonationConstraint":"impersonate:user-info"},"sourceIPs"`}, {`"sourceIPs"`, `"authenticationMetadata":{},"sourceIPs"`},
		{`"sourceIPs"`, `"authenticationMetadata":null,"sourceIPs"`}, {`"sourceIPs"`, `"authenticationMetadata":{"impersonationConstraint":"","method":{"token":"t"}},"sourceIPs"`}, {`"sourceIPs"`, `"authenticationMetadata":{"impersonationConstraint":7},"sourceIPs"`},
		{`"verb":"patch"`, `"verb":"delete"`}, {`"verb":"patch"`, `"verb":"delete","requestObject":{"dryRun":["All"]}`}, {`"verb":"patch"`, `"verb":"deletecollection","requestObject":{"dryRun":"All"}`},
		{`"verb":"patch"`, `"verb":"create","requestObject":{"deleteOptions":{"dry\u0052un":["All"]}}`}, {`"name":"web",`, `"x":1,`}, {`"verb":"patch"`, `"verb":"create","responseObject":{"metadata":{"name":"web-x7k2p"}}`},
		{`"203.0.113.9"`, `"nowhere"`}, {`"objectRef":{`, `"objectRef":{},"x":{`}, {`"objectRef":{`, `"objectRef":{"kind":"Scale",`}, {`"namespace":"shop","name":"web"`, `"name":"web","namespace":"shop"`},
		{`{"metadata":{},"code":200}`, `{"code":2e2,"metadata":{ }}`}, {`{"metadata":{},"code":200}`, `{}`}, {`{"metadata":{},"code":200}`, `null`}, {`{"metadata":{},"code":200}`, `{"code":200,"code":201}`},
		{`{"metadata":{},"code":200}`, `{"code":"200"}`}, {`{"metadata":{},"code":200}`, `7`}, {`{"metadata":{},"code":200}`, `{"code":200`}, {`{"metadata":{},"code":200}`, `[}`},
		{`{"metadata":{},"code":200}`, `{"message":"a \u0026 b","code":422}`}, {`{"metadata":{},"code":200}`, `{"code":1E400}`}, {`{"metadata":{},"code":200}`, `{"code":99}`},
		{`"verb":"patch"`, `"requestObject":{"data":{"a":"b"},"x":"\u0026", "y":1.50}`}, {`"verb":"patch"`, `"responseObject":[{"op":"add","path":"/x","value":"y"}]`},
		{`"verb":"patch"`, `"requestObject":{"a":1,"a":2}`}, {`"verb":"patch"`, `"requestObject":"--token=abc"`}, {`"verb":"patch"`, `"requestObject":{}`}, {`"verb":"patch"`, `"requestObject":nul`},
		{`"verb":"patch"`, `"requestObject":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000)}, {`"verb":"patch"`, `"requestObject":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000)},
		{`.123456Z`, `.1234567Z`}, {`.123456Z`, `Z`}, {`.123456Z`, `.12345Z`}, {`.123456Z`, `+01:00`}, {`T11:00:00.123456Z`, ` 11:00:00`}, {`T11:00:00.1`, `T24:00:00.1`},
		{`2026-11-23T11:00:00.1`, `2026-02-29T11:00:00.1`}, {`2026-11-23T11:00:00.1`, `2028-02-29T11:00:00.1`}, {`2026-11-23T11:00:00.1`, `1969-02-28T11:00:00.1`}, {`2026-11-23T11:00:00.1`, `0000-00-00T11:00:00.1`},
		{`"2026-11-23T11:00:00.123456Z"`, `null`}, {`"2026-11-23T11:00:00.123456Z"`, `1763895600`}, {`"2026-11-23T11:00:00.123456Z"`, `"2026-11-23T11:00:00.123456\u005a"`}, {`"2026-11-23T11:00:00.123456Z"`, `""`},
		{`{"authorization.k8s.io/decision":"allow"}`, `{"b":"\"quoted\"","a":"\u0022"}`}, {`{"authorization.k8s.io/decision":"allow"}`, `{"a":"1","a":"2"}`}, {`{"authorization.k8s.io/decision":"allow"}`, `{}`}, {`{"authorization.k8s.io/decision":"allow"}`, `{"a":""}`},
		{`{"authorization.k8s.io/decision":"allow"}`, `{"patch.webhook.admission.k8s.io/round_0_index_0":"x"}`}, {`{"authorization.k8s.io/decision":"allow"}`, `{"a":{}}`},
		{`?dryRun=All`, `?dry%52un=All`}, {`?dryRun=All`, `?dryRun=`}, {`?dryRun=All`, `?a;b&dryRun=All`}, {`?dryRun=All`, `?a=%zz&dryRun=All`}, {`?dryRun=All`, `?fieldSelector=metadata.name%3Dweb&token=abc`},
		{`?dryRun=All`, `?fieldSelector=token%3Dweb`}, {`?dryRun=All`, `?acce\u0073s_token=abc&limit=500`}, {`?dryRun=All`, `?command=mysql&command=--password&command=x`}, {`?dryRun=All`, `?command=-p&command=x&a=b+c`},
		{`?dryRun=All`, `?command=PASSWORD%3dabc`}, {`?dryRun=All`, `?Authorization=1&tokenName=2&a=&=b&&`}, {`?dryRun=All`, `?to%6ben=abc`}, {`?dryRun=All`, `?\u212aey=1&api\u212aey=2&PASSWORT=3`}, {`?dryRun=All`, `?limit=500\u0026watch=true`},
		{`?dryRun=All`, `?`}, {`/apis/apps/v1/namespaces`, `/apis/apps/v1/watch/namespaces`}, {`/apis/apps/v1/namespaces`, `/api/v1/namespaces`}, {`/apis/apps/v1/namespaces`, `//apis/apps/v1//namespaces`}, {`/apis/apps/v1/namespaces`, `/apis/apps/namespaces`},
		{`/apis/apps/v1/namespaces/shop`, `/apis/apps/v1/namespaces/%73hop`}, {`/apis/apps/v1/namespaces/shop`, `/apis/apps/v1/namespaces`}, {`/apis/apps/v1/namespaces/shop`, `http://x/apis/apps/v1/namespaces/shop`}, {`/apis/apps`, `*`}, {`/apis/apps`, ``}, {`/apis/apps`, ` /apis/apps`},
		{`"resource":"deployments"`, `"resource":"secrets"`}, {`"apiGroup":"apps"`, `"apiGroup":"serving.knative.dev"`}, {`"apiGroup":"apps"`, `"apiGroup":"unheard.example"`}, {`"resource":"deployments"`, `"resource":""`},
		{`"kubectl/v1.37.2"`, `"Kubectl \u003c"`}, {`"kubectl/v1.37.2"`, `"some-OPERATOR/v1"`}, {`"kubectl/v1.37.2"`, `""`},
		{deployment, "{ }"}, {deployment, `{"stage":"Panic","impersonatedUser":{"username":"x"},"stageTimestamp":"2026-11-23T11:00:00Z"}`}, {deployment, `{"stage":"Panic","stageTimestamp":"2026-11-23T11:00:00Z"}`},
	} {
		odd = append(odd, []byte(strings.Replace(deployment, change[0], change[1], 1)))
	}
	return odd
}

func TestSameAsNaive(t *testing.T) {
	d := newDecoder(t)
	for _, item := range oddities() {
		sameAsNaive(t, d, item)
	}
	for _, line := range bytes.Split(bytes.TrimSpace([]byte(readRecorded(t))), []byte("\n")) {
		sameAsNaive(t, d, line)
	}
	for _, bodies := range []bool{false, true} {
		generator := audittest.New(audittest.Options{Seed: 3, Bodies: bodies})
		for range 500 {
			sameAsNaive(t, d, generator.Item())
		}
	}
}

// However the bytes arrive, and whatever is decoded after them, the events of
// a delivery are the naive ones and stay as they are.
func TestEventsStay(t *testing.T) {
	d := newDecoder(t)
	generator := audittest.New(audittest.Options{Seed: 4})
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "by halves": iotest.HalfReader, "by bytes": iotest.OneByteReader,
	} {
		t.Run(name, func(t *testing.T) {
			items := oddities()
			items = slices.DeleteFunc(items, func(item []byte) bool { _, err := naive(d, item); return err != nil })
			for range 300 {
				items = append(items, generator.Item())
			}
			var events []*Event
			if err := d.Decode(cut(bytes.NewReader(audittest.List(items...))), func(i Item) error {
				events = append(events, i.Event)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			decode(t, d, string(generator.Batch(300)))
			for _, e := range events { // who appends to one changes no other
				_, _ = append(e.Raw, "xyz"...), append(e.IPs, netip.Addr{})
			}
			for i, item := range items {
				want, _ := naive(d, item)
				if diff := cmp.Diff(want, events[i], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Fatalf("%q\n%s", item, diff)
				}
			}
		})
	}
}

// FuzzSameAsNaive looks for an item that is read in place in another way than
// by the library.
func FuzzSameAsNaive(f *testing.F) {
	for _, item := range oddities() {
		f.Add(item)
	}
	for _, line := range bytes.Split(bytes.TrimSpace([]byte(readRecorded(f))), []byte("\n")) {
		f.Add(line)
	}
	d := newDecoder(f)
	f.Fuzz(func(t *testing.T, item []byte) {
		if n, ok := newParser().inPlace(item); ok {
			if err := json.Unmarshal(item[:n], new(naiveEvent), laxOptions); err != nil {
				t.Fatalf("read in place: %q, though %v", item[:n], err)
			}
		}
		if item = bytes.TrimSpace(item); jsontext.Value(item).Kind() == '{' && jsontext.Value(item).IsValid(lax...) && !isList(item) {
			sameAsNaive(t, d, item)
		}
	})
}

// isList reports whether a decoder may take an object for a list of items.
func isList(item []byte) bool {
	var members map[string]jsontext.Value
	err := json.Unmarshal(item, &members, lax...)
	_, ok := members["items"]
	return err == nil && ok
}

// FuzzRequestURI compares what is read of a URI with the naive way.
func FuzzRequestURI(f *testing.F) {
	for _, uri := range []string{
		"/api/v1/namespaces/shop/pods/web/exec?command=mysql&command=--password&command=hunter2", "/apis/apps/v1/watch/namespaces/%73hop/deployments?dry%52un=All",
		"//api//namespaces/x?a;b&dryRun=All", "/api/v1/pods?limit=500&fieldSelector=metadata.name%3Dweb&timeout=10s", "/x?api_\u212aey=1&TOKEN=2&x=secret%3dy&%zz", "*", "/?\x7f", "/a b?=&&",
		"/x?command=PASSWORD%3dabc&q=to\u212aen%3Da", "/x?password=", "/x?a=token-a=b", "http://host/api/v1/namespaces/shop", "/x?\u017fecret-a=b&c=\u017fecret=b",
	} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		path, namespace, params := naivePlace(uri)
		got := parseRequestURI(uri)
		if got.path != path || got.namespace != namespace {
			t.Errorf("%q: read as %+v, want %q in %q", uri, got, path, namespace)
		}
		if got, want := dryRunIn(got.query) == DryRunTrue, slices.Contains(params["dryRun"], "All"); got != want {
			t.Errorf("%q: dry run: %t, want %t", uri, got, want)
		}
	})
}

func TestPlainLength(t *testing.T) {
	for c := range 256 {
		isPlain := c >= ' ' && c < 0x80 && c != '"' && c != '\\'
		for at := range 20 {
			text := []byte(strings.Repeat("~ ", 10))
			text[at] = byte(c)
			want := at
			if isPlain {
				want = len(text)
			}
			if got := plainLength(text); got != want {
				t.Errorf("%q: %d plain bytes, want %d", text, got, want)
			}
		}
	}
}

// What a parser remembers for the next delivery is bounded, whatever comes.
func TestParserForgets(t *testing.T) {
	p := newParser()
	for i := range 10_000 {
		p.agents.kind(fmt.Sprint("agent/", i))
		p.agents.kind(strings.Repeat("x", i))
		p.plain.redact(redact.Policy{}, fmt.Sprint("text ", i))
		p.plain.redact(redact.Policy{}, strings.Repeat("x", i))
		if _, err := p.statuses.read(fmt.Appendf(nil, `{"code":%d}`, i)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.statuses.read(fmt.Appendf(nil, `{"message":"%*d"}`, i, i)); err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for agent := range p.agents {
		size += len(agent)
	}
	for text := range p.statuses {
		size += len(text)
	}
	for text := range p.plain {
		if len(text) > maxPlainTextBytes {
			t.Errorf("a text of %d bytes is remembered", len(text))
		}
	}
	if len(p.plain) > maxPlainTexts {
		t.Errorf("%d texts are remembered", len(p.plain))
	}
	if len(p.agents) > maxAgents || len(p.statuses) > maxStatuses || size > maxAgents*maxAgentBytes+maxStatuses*maxStatusBytes {
		t.Errorf("%d agents and %d statuses of %d bytes are remembered", len(p.agents), len(p.statuses), size)
	}
}
