package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/gzip"

	"github.com/porter-dev/audit-operator/internal/audit/envelope"
)

// The reason for a record that is not understood names what it looks like, and
// says what to do; the texts in it, which can't be redacted, are gone.
func TestReasons(t *testing.T) {
	broken := lineOf(1)[:150] + `hunter2`
	for name, tc := range map[string]struct{ in, format string }{
		"subscription": {cloudWatch(auditStream, broken), "CloudWatch Logs event"},
		"firehose":     {`{"records":[{"data":"*hunter2 xylophone*"}]}`, "Firehose record"},
		"lambda":       {`{"awslogs":{"data":"*hunter2 xylophone*"}}`, "CloudWatch Logs event of Lambda"},
		"Event Hub":    {`{"records":[` + azureRecord("kube-audit", azureProperties(broken)) + `]}`, "Azure resource log"},
		"text":         {azureRecord("kube-audit", text(azureProperties(broken))), "Azure resource log"},
		"Pub/Sub":      {`{"message":{"data":"*hunter2 xylophone*"}}`, "Pub/Sub message"},
		"GKE":          {`{"protoPayload":{"serviceName":"k8s.io","methodName":"","request":{"password":"hunter2"}}}`, "Cloud Logging entry"},
		"ViaQ":         {`{"log_type":"audit","message":` + text(broken) + `}`, "record of OpenShift logging"},
		"GELF":         {`{"version":"1.1","short_message":` + text(broken) + `}`, "GELF message"},
		"Elastic":      {`{"event":{"original":` + text(broken) + `}}`, "document of the Elastic Common Schema"},
		"OTLP":         {otlpOf(anyOf(broken)), "OTLP log record"},
		"docker":       {`{"log":` + text(broken) + `}`, "line of a container's log"},
		"Vector":       {`{"message":` + text(broken) + `}`, "line of a log (Vector, Fluentd)"},
		"not JSON":     {`{"message":"my password is hunter2"}`, "line of a log (Vector, Fluentd)"},
		"no text":      {`{"message":7}`, "neither a text nor an object"},
	} {
		t.Run(name, func(t *testing.T) {
			g, _, quarantined := take(t, newDecoder(t), tc.in)
			if g.Quarantined != 1 || len(g.Events) != 0 {
				t.Fatalf("%+v", g)
			}
			q := quarantined[0]
			if !strings.Contains(q.Reason, tc.format) || !strings.Contains(q.Reason, "; ") {
				t.Errorf("reason %q, want one with %q", q.Reason, tc.format)
			}
			if left := string(q.Redacted) + q.Reason; strings.Contains(left, "hunter2") || strings.Contains(left, "xylophone") {
				t.Errorf("a secret stayed: %s: %s", q.Reason, q.Redacted)
			}
			if q.Size == 0 || q.Hash == ([32]byte{}) {
				t.Errorf("it has no size or hash: %+v", q)
			}
		})
	}
}

// What a carrier brings is redacted, cut and bounded as what comes alone.
func TestCarriedLikePlain(t *testing.T) {
	secret := strings.Replace(lineOf(1), `"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps"`, `"resource":"secrets","namespace":"shop","name":"web"`, 1)
	secret = `{"requestObject":{"stringData":{"x":"hunter2"}},` + secret[1:]
	large := strings.Replace(lineOf(1), "?dryRun=All", "?"+strings.Repeat("x", 3<<20), 1)
	fat := `{"requestObject":{"spec":"` + strings.Repeat("y", 5<<20) + `"},` + lineOf(1)[1:]
	for name, event := range map[string]string{"secret": secret, "long path": large, "large body": fat} {
		d := newDecoder(t)
		_, want, _ := take(t, d, event)
		for carrier, in := range map[string]string{
			"text": `[{"log":` + text(event) + `}]`, "object": `{"@timestamp":"x","kubernetes":{"audit":` + event + `}}`,
			"subscription": cloudWatch(auditStream, event), "text in text": `{"log":` + text(`{"message":`+text(event)+`}`) + `}`,
			"OTLP": otlpOf(anyOf(event)), "gzip": zipped(event),
		} {
			if carrier == "gzip" && name != "secret" {
				continue // these are compressed beyond what is allowed
			}
			g, events, quarantined := take(t, d, in)
			if len(events) != 1 {
				t.Errorf("%s in %s: %+v %v", name, carrier, g, quarantined)
				continue
			}
			if diff := cmp.Diff(want[0], events[0], cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("%s in %s: %s", name, carrier, diff)
			}
		}
	}
}

// TestDepth has envelopes in envelopes, up to the bound and beyond it.
func TestDepth(t *testing.T) {
	in := lineOf(1)
	for depth := 1; depth <= envelope.MaxDepth+3; depth++ {
		in = `{"data":` + base64Text(in) + `}`
		g, _, quarantined := take(t, newDecoder(t), in)
		want := got{Events: []string{"a1"}}
		if depth > envelope.MaxDepth {
			want = got{Quarantined: 1}
		}
		if diff := cmp.Diff(want, g); diff != "" {
			t.Errorf("%d envelopes: %s", depth, diff)
		}
		if depth > envelope.MaxDepth && !strings.Contains(quarantined[0].Reason, "too many envelopes") {
			t.Errorf("reason %q", quarantined[0].Reason)
		}
	}
	// No rule of redaction takes these words for a secret, and they may be an event.
	in = `{"message":"alice plays the xylophone"}`
	for range envelope.MaxDepth {
		in = `{"log":` + text(in) + `}`
	}
	if g, _, q := take(t, newDecoder(t), in); g.Quarantined != 1 || !bytes.Contains(q[0].Redacted, []byte(`{"message":"[left out`)) {
		t.Errorf("text stays in quarantine: %+v: %s %s", g, q[0].Reason, q[0].Redacted)
	}
	for depth, in := 1, `{"log":`+text(lineOf(1))+`}`; depth <= 2000; depth++ {
		if in = `{"records":[` + in + `]}`; depth%500 == 0 {
			if g, _, _ := take(t, newDecoder(t), in); len(g.Events) > 0 || g.Quarantined != 1 {
				t.Errorf("%d lists: %+v", depth, g)
			}
		}
	}
}

// TestRecordSize has a record at the bound of what is held of one, and beyond it.
func TestRecordSize(t *testing.T) {
	for _, beyond := range []int{0, 1} {
		in := `{"log":` + text(lineOf(1)) + `,"x":""}`
		in = strings.Replace(in, `"x":""`, `"x":"`+strings.Repeat("x", envelope.MaxRecord+beyond-len(in))+`"`, 1)
		held := int64(0)
		d := newDecoder(t)
		d.Hold = func(bytes int64) error { held = max(held, bytes); return nil }
		g, _, _ := take(t, d, in+"\n"+lineOf(2))
		want := got{Events: []string{"a1", "a2"}}
		if beyond > 0 && g.Quarantined == 1 {
			want = got{Events: []string{"a2"}, Quarantined: 1}
		}
		if diff := cmp.Diff(want, g); diff != "" {
			t.Errorf("%d beyond: %s", beyond, diff)
		}
		if held < envelope.MaxRecord {
			t.Errorf("only %d bytes are said to be held", held)
		}
	}
	stop := errors.New("no room")
	d := newDecoder(t)
	d.Hold = func(int64) error { return stop }
	err := d.Decode(strings.NewReader(`{"log":"`+strings.Repeat("x", 2<<20)+`"}`), func(Item) error { return nil })
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want Hold's", err)
	}
}

// padded is text compressed to so many bytes; the header is as long as that takes.
func padded(t *testing.T, content string, size int) string {
	t.Helper()
	write := func(extra int) string {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		z.Extra = make([]byte, extra)
		if _, err := z.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	out := write(size - len(write(1)) + 1)
	if len(out) != size {
		t.Fatalf("%d bytes, want %d", len(out), size)
	}
	return out
}

// TestInflation has a delivery that becomes as large as it may, and one that
// becomes larger: what came before is taken.
func TestInflation(t *testing.T) {
	const size = 30 << 10
	content := lineOf(1) + "\n" + lineOf(2) + "\n"
	content += strings.Repeat("\n", MaxInflation*size-len(content))
	for _, less := range []int{0, 1} {
		var ids []string
		err := newDecoder(t).Decode(strings.NewReader(padded(t, content, size-less)), func(i Item) error {
			if i.Event == nil {
				t.Errorf("quarantined: %+v", i.Quarantined)
				return nil
			}
			ids = append(ids, i.Event.AuditID)
			return nil
		})
		if tooMuch := errors.Is(err, ErrInflation); tooMuch != (less > 0) || !tooMuch && err != nil {
			t.Errorf("%d bytes become %d: error %v", size-less, len(content), err)
		}
		if diff := cmp.Diff([]string{"a1", "a2"}, ids); diff != "" {
			t.Errorf("%d less: %s", less, diff)
		}
	}
	// What is within the bound of one event may be compressed better.
	small := lineOf(1) + strings.Repeat("\n", DefaultMaxItemBytes-len(lineOf(1)))
	if g, _, _ := take(t, newDecoder(t), zipped(small)); len(g.Events) != 1 {
		t.Errorf("%+v", g)
	}
}

// A bomb in a record costs that record, also where the bomb is compressed again.
func TestBombInRecord(t *testing.T) {
	bomb := zipped(strings.Repeat(" ", 20<<20))
	// Each of these two alone is within the bound.
	step := zipped(padded(t, strings.Repeat(" ", 90*60_000), 60_000))
	in := `{"records":[{"data":` + base64Text(step) + `},{"data":` + base64Text(lineOf(1)) + `}]}`
	if g, _, q := take(t, newDecoder(t), in); len(g.Events) != 1 || g.Quarantined != 1 || !strings.Contains(q[0].Reason, "100 times") {
		t.Errorf("in two steps: %+v %+v", g, q)
	}
	for name, data := range map[string]string{"bomb": bomb, "compressed again": zipped(bomb), "three times": zipped(zipped(bomb))} {
		in := `{"records":[{"data":` + base64Text(data) + `},{"data":` + base64Text(lineOf(1)) + `}]}`
		g, _, quarantined := take(t, newDecoder(t), in)
		if diff := cmp.Diff(got{Events: []string{"a1"}, Quarantined: 1}, g); diff != "" {
			t.Errorf("%s: %s", name, diff)
			continue
		}
		// Much that is not compressed makes no room for one.
		before := strings.Repeat(lineOf(1)+"\n", 1000)
		g, _, after := take(t, newDecoder(t), before+in)
		if len(g.Events) != 1001 || g.Quarantined != 1 {
			t.Errorf("%s, after others: %d events, %d quarantined", name, len(g.Events), g.Quarantined)
			continue
		}
		// What holds nothing but spaces is quarantined in any case.
		for _, q := range append(quarantined, after...) {
			if !strings.Contains(q.Reason, "100 times") {
				t.Errorf("%s: reason %q", name, q.Reason)
			}
		}
	}
}

// A connection that breaks within a compressed body is no end.
func TestReaderFailsInGzip(t *testing.T) {
	body, reset := zipped(list(lineOf(1), lineOf(2))), errors.New("connection reset")
	for cut := range len(body) {
		err := newDecoder(t).Decode(io.MultiReader(strings.NewReader(body[:cut]), failing{reset}), func(Item) error { return nil })
		if !errors.Is(err, reset) {
			t.Fatalf("after %d bytes: error %v, want the reader's", cut, err)
		}
	}
}

const entry = `{"insertId":"i1","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","operation":{"id":"op1","producer":"k8s.io","first":true,"last":true},` +
	`"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.core.v1.pods.delete","resourceName":"core/v1/namespaces/shop/pods/web-0",` +
	`"authenticationInfo":{"principalEmail":"alice@example.com"},"authorizationInfo":[{"granted":true}],"requestMetadata":{"callerIp":"203.0.113.9","callerSuppliedUserAgent":"kubectl/v1.37.2"},` +
	`"request":{"@type":"apps.k8s.io/v1.DeleteOptions","password":"hunter2"},"status":{"code":7,"message":"forbidden"}},` +
	`"labels":{"authorization.k8s.io/decision":"forbid"},"resource":{"type":"k8s_cluster","labels":{"cluster_name":"blue","project_id":"p","location":"l"}},"timestamp":"2026-11-23T11:00:00.123456789Z","receiveTimestamp":"2026-11-23T11:00:01Z"}`

// TestReconstructed has an entry of Cloud Logging become an event that says
// what of it was inferred.
func TestReconstructed(t *testing.T) {
	g, events, quarantined := take(t, newDecoder(t), `[`+entry+`,{"message":{"data":`+base64Text(entry)+`}}]`)
	if len(events) != 2 || g.Quarantined > 0 {
		t.Fatalf("%+v %v", g, quarantined)
	}
	e := events[0]
	if events[1].ID != e.ID {
		t.Error("by Pub/Sub it has another id")
	}
	want := &Event{
		Source: "s", Cluster: "c", AuditID: "op1", Level: "Request", Stage: StageResponseComplete,
		OccurredAt: time.Date(2026, 11, 23, 11, 0, 0, 123456000, time.UTC), StageAt: time.Date(2026, 11, 23, 11, 0, 0, 123456000, time.UTC),
		Actor: "alice@example.com", ActorKind: ActorUser, Method: "DELETE", Verb: "delete", ResourceType: "application", Action: "application.delete",
		APIVersion: "v1", Resource: "pods", Namespace: "shop", ResourceName: "web-0", Path: "/api/v1/namespaces/shop/pods/web-0", StatusCode: 403,
		Client: ClientCLI, UserAgent: "kubectl/v1.37.2", IPs: []netip.Addr{netip.MustParseAddr("203.0.113.9")},
	}
	if diff := cmp.Diff(want, e, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(Event{}, "ID", "Raw", "RawSHA256", "DryRun")); diff != "" {
		t.Error(diff)
	}
	var raw struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(e.Raw, &raw); err != nil {
		t.Fatal(err)
	}
	wantAnnotations := map[string]string{
		"authorization.k8s.io/decision":  "forbid",
		envelope.ReconstructedAnnotation: "from a Cloud Logging entry; inferred: level, auditID, stage, requestURI, verb, objectRef, responseStatus",
	}
	if diff := cmp.Diff(wantAnnotations, raw.Annotations); diff != "" {
		t.Error(diff)
	}
	if bytes.Contains(e.Raw, []byte("hunter2")) {
		t.Errorf("a secret stayed: %s", e.Raw)
	}
}

// TestReconstructedForms goes through what entries say of a request.
func TestReconstructedForms(t *testing.T) {
	type form struct {
		Path, Namespace, Resource, Subresource, Group, Verb, Method string
		Code                                                        int
	}
	for name, tc := range map[string]struct {
		method, resource, status, response string
		want                               form
	}{
		"exec":           {"io.k8s.core.v1.pods.exec.create", "core/v1/namespaces/shop/pods/web-0/exec", `{}`, "", form{"/api/v1/namespaces/shop/pods/web-0/exec", "shop", "pods", "exec", "", "create", "POST", 101}},
		"exec by method": {"io.k8s.core.v1.pods.exec.get", "core/v1/namespaces/shop/pods/web-0", `{}`, "", form{"/api/v1/namespaces/shop/pods/web-0/exec", "shop", "pods", "exec", "", "get", "POST", 101}},
		"a group":        {"io.k8s.apps.v1.deployments.patch", "apps/v1/namespaces/shop/deployments/web", `{"code":0}`, "", form{"/apis/apps/v1/namespaces/shop/deployments/web", "shop", "deployments", "", "apps", "patch", "PATCH", 200}},
		"of the cluster": {"io.k8s.authorization.rbac.v1.clusterroles.create", "rbac.authorization.k8s.io/v1/clusterroles/x", `{"code":"6"}`, "", form{"/apis/rbac.authorization.k8s.io/v1/clusterroles/x", "", "clusterroles", "", "rbac.authorization.k8s.io", "create", "POST", 409}},
		"a namespace":    {"io.k8s.core.v1.namespaces.delete", "core/v1/namespaces/shop", `{"code":5}`, "", form{"/api/v1/namespaces/shop", "shop", "namespaces", "", "", "delete", "DELETE", 404}},
		"a list":         {"io.k8s.core.v1.secrets.list", "core/v1/namespaces/shop/secrets", `{}`, "", form{"/api/v1/namespaces/shop/secrets", "shop", "secrets", "", "", "list", "GET", 200}},
		"no resource":    {"io.k8s.get", "readyz", `{}`, "", form{"/readyz", "", "", "", "", "get", "GET", 200}},
		"exact code":     {"io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods/x", `{"code":3}`, `{"@type":"core.k8s.io/v1.Status","code":422}`, form{"/api/v1/namespaces/shop/pods/x", "shop", "pods", "", "", "create", "POST", 422}},
		"unknown code":   {"io.k8s.core.v1.pods.create", "core/v1/namespaces/shop/pods/x", `{"code":99}`, "", form{"/api/v1/namespaces/shop/pods/x", "shop", "pods", "", "", "create", "POST", 500}},
		"a custom one":   {"io.x.v1alpha1.things.status.update", "x.io/v1alpha1/namespaces/shop/things/a/status", `{}`, "", form{"/apis/x.io/v1alpha1/namespaces/shop/things/a/status", "shop", "things", "status", "x.io", "update", "PUT", 200}},
	} {
		response := ""
		if tc.response != "" {
			response = `,"response":` + tc.response
		}
		in := `{"insertId":"i","timestamp":"2026-11-23T11:00:00Z","protoPayload":{"serviceName":"k8s.io","methodName":"` + tc.method + `","resourceName":"` + tc.resource + `","status":` + tc.status + response + `}}`
		_, events, quarantined := take(t, newDecoder(t), in)
		if len(events) != 1 {
			t.Errorf("%s: %v", name, quarantined)
			continue
		}
		e := events[0]
		if diff := cmp.Diff(tc.want, form{e.Path, e.Namespace, e.Resource, e.Subresource, e.APIGroup, e.Verb, e.Method, e.StatusCode}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// FuzzCarried reads anything as what an envelope carries. However it arrives it
// holds the same items, and an item is one of three things.
func FuzzCarried(f *testing.F) {
	all := carriers()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f.Add([]byte(all[name]))
	}
	f.Add([]byte(entry))
	d := newDecoder(f)
	d.MaxItemBytes = 4 << 10
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(decode func(*Decoder, io.Reader, func(Item) error) error, r io.Reader) (all []string) {
			err := decode(d, r, func(i Item) error {
				switch {
				case i.Event != nil && i.Quarantined == nil && i.Skipped == "":
					all = append(all, i.Event.ID.String())
					if !json.Valid(i.Event.Raw) {
						t.Fatalf("the raw is no JSON: %s", i.Event.Raw)
					}
				case i.Event == nil && i.Quarantined != nil && i.Skipped == "":
					all = append(all, i.Quarantined.Reason)
				case i.Event == nil && i.Quarantined == nil && i.Skipped != "":
					all = append(all, i.Skipped)
				default:
					t.Fatalf("an item is one thing: %+v", i)
				}
				return nil
			})
			if err != nil && !errors.Is(err, ErrInflation) {
				t.Fatal(err)
			}
			return all
		}
		once := read((*Decoder).Decode, bytes.NewReader(in))
		again := read((*Decoder).Decode, iotest.OneByteReader(bytes.NewReader(in)))
		if diff := cmp.Diff(once, again); diff != "" {
			t.Fatal(diff)
		}
		if len(bytes.TrimSpace(in)) > 0 && in[0] == '{' && bytes.HasPrefix(in, []byte(`{"log"`)) && len(once) == 0 && !bytes.Contains(in, []byte("[")) {
			t.Fatalf("nothing became of %q", in)
		}
		read((*Decoder).DecodeOTLP, bytes.NewReader(in))
	})
}
