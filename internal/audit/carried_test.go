package audit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit/envelope"
)

// Pieces of envelopes.

func text(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func base64Text(s string) string { return text(base64.StdEncoding.EncodeToString([]byte(s))) }

// lineOf is the event as a line of a log file, with another audit id.
func lineOf(i int) string {
	return `{"kind":"Event","apiVersion":"audit.k8s.io/v1",` + strings.Replace(deployment, `"a1"`, fmt.Sprintf(`"a%d"`, i), 1)[1:]
}

func cloudWatch(stream string, messages ...string) string {
	events := make([]string, len(messages))
	for i, m := range messages {
		events[i] = fmt.Sprintf(`{"id":"%d","timestamp":1764000000000,"message":%s}`, i, text(m))
	}
	return `{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/blue/cluster","logStream":"` + stream +
		`","subscriptionFilters":["audit"],"logEvents":[` + strings.Join(events, ",") + `]}`
}

const auditStream = "kube-apiserver-audit-0123456789abcdef"

func azureRecord(category, properties string) string {
	return `{"time":"2026-11-23T11:00:01.0000000Z","resourceId":"/SUBSCRIPTIONS/X/RESOURCEGROUPS/Y/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/BLUE","category":"` +
		category + `","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","properties":` + properties + `}`
}

func azureProperties(log string) string {
	return `{"log":` + text(log) + `,"stream":"stdout","pod":"kube-apiserver-0","containerID":"0a"}`
}

func viaqOf(event string) string {
	return `{"@timestamp":"2026-11-23T11:00:01Z","hostname":"master-0","log_type":"audit","log_source":"kubeAPI","openshift":{"cluster_id":"x","sequence":1764000000000000001},"k8s_audit_level":"Metadata",` +
		strings.Replace(event, `"level":"Metadata"`, `"level":"info"`, 1)[1:]
}

// anyOf is a JSON value as OTLP's AnyValue.
func anyOf(v any) string {
	switch v := v.(type) {
	case string:
		return `{"stringValue":` + text(v) + `}`
	case bool:
		return fmt.Sprintf(`{"boolValue":%t}`, v)
	case json.Number:
		return `{"intValue":"` + v.String() + `"}`
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, anyOf(e))
		}
		return `{"arrayValue":{"values":[` + strings.Join(all, ",") + `]}}`
	case map[string]any:
		var all []string
		for name, e := range v {
			all = append(all, `{"key":`+text(name)+`,"value":`+anyOf(e)+`}`)
		}
		return `{"kvlistValue":{"values":[` + strings.Join(all, ",") + `]}}`
	}
	return `{}`
}

func kvlist(event string) string {
	decoder := json.NewDecoder(strings.NewReader(event))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		panic(err)
	}
	return anyOf(v)
}

func otlpOf(bodies ...string) string {
	records := make([]string, len(bodies))
	for i, b := range bodies {
		records[i] = `{"timeUnixNano":"1764000000000000000","severityText":"INFO","attributes":[{"key":"x","value":{"stringValue":"y"}}],"body":` + b + `}`
	}
	return `{"resourceLogs":[{"resource":{"attributes":[]},"scopeLogs":[{"scope":{},"logRecords":[` + strings.Join(records, ",") + `]}]}]}`
}

// got is what became of a delivery.
type got struct {
	Events      []string // audit ids
	Skipped     []string
	Quarantined int
}

func take(t testing.TB, d *Decoder, in string) (got, []*Event, []*Quarantined) {
	t.Helper()
	var g got
	var events []*Event
	var quarantined []*Quarantined
	if err := d.Decode(strings.NewReader(in), func(i Item) error {
		switch {
		case i.Event != nil:
			g.Events = append(g.Events, i.Event.AuditID)
			events = append(events, i.Event)
		case i.Skipped != "":
			g.Skipped = append(g.Skipped, i.Skipped)
		default:
			g.Quarantined++
			quarantined = append(quarantined, i.Quarantined)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return g, events, quarantined
}

// carriers hold the event a1, each in its own shape.
func carriers() map[string]string {
	line := lineOf(1)
	subscription := cloudWatch(auditStream, line)
	return map[string]string{
		"array":                          `[` + line + `]`,
		"list in an array":               `[{"kind":"EventList","items":[` + deployment + `]}]`,
		"list of sorted members":         `[{"apiVersion":"audit.k8s.io/v1","items":[` + deployment + `],"kind":"EventList","metadata":{}}]`,
		"gzip":                           zipped(line),
		"gzip of gzip":                   zipped(zipped(line)),
		"gzip of two members":            zipped(line[:100]) + zipped(line[100:]),
		"text with a line feed":          text(line + "\n"),
		"text in an array":               `[` + text(line+"\n") + `]`,
		"subscription":                   subscription,
		"subscription, compressed":       zipped(subscription),
		"subscription, texts with lines": cloudWatch(auditStream, line+"\n"),
		"subscription of lambda":         `{"awslogs":{"data":` + base64Text(zipped(subscription)) + `}}`,
		"kinesis":                        `{"Records":[{"kinesis":{"data":` + base64Text(zipped(subscription)) + `},"eventSource":"aws:kinesis"}]}`,
		"firehose":                       `{"requestId":"r","timestamp":1764000000000,"records":[{"data":` + base64Text(zipped(subscription)) + `}]}`,
		"firehose, not compressed":       `{"requestId":"r","timestamp":1764000000000,"records":[{"data":` + base64Text(line+"\n") + `}]}`,
		"firehose, all compressed":       zipped(`{"requestId":"r","records":[{"data":` + base64Text(zipped(subscription)) + `}]}`),
		"filter-log-events":              `{"events":[{"logStreamName":"` + auditStream + `","timestamp":1764000000000,"message":` + text(line) + `,"ingestionTime":1764000000001,"eventId":"3"}],"searchedLogStreams":[],"nextToken":"x"}`,
		"get-log-events":                 `{"events":[{"timestamp":1764000000000,"message":` + text(line) + `,"ingestionTime":1764000000001}],"nextForwardToken":"f/3"}`,
		"export of CloudWatch":           "2026-11-23T11:00:00.223Z " + line + "\n",
		"Event Hub":                      `{"records":[` + azureRecord("kube-audit", azureProperties(line+"\n")) + `]}`,
		"Event Hub, admin":               `{"records":[` + azureRecord("kube-audit-admin", azureProperties(line)) + `]}`,
		"Event Hub, properties as text":  `{"records":[` + azureRecord("kube-audit", text(azureProperties(line))) + `]}`,
		"Event Hub, byte-order mark":     "\ufeff" + `{"records":[` + azureRecord("kube-audit", azureProperties(line)) + `]}`,
		"Event Hub, no category":         `{"records":[{"time":"x","resourceId":"y","properties":` + azureProperties(line) + `}]}`,
		"storage account":                azureRecord("kube-audit", azureProperties(line)) + "\r\n",
		"AzureDiagnostics":               `[{"TimeGenerated":"x","Category":"kube-audit","log_s":` + text(line) + `}]`,
		"AKSAudit": `{"TimeGenerated":"x","Level":"Metadata","AuditId":"a1","Stage":"ResponseComplete","RequestUri":"/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All","Verb":"patch",` +
			`"User":{"username":"alice@example.com","groups":["dev"],"extra":{"authentication.kubernetes.io/credential-id":["X509SHA256=ab"]}},"SourceIps":["203.0.113.9","::ffff:10.0.0.7"],"UserAgent":"kubectl/v1.37.2",` +
			`"ObjectRef":` + text(`{"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps","apiVersion":"v1","subresource":"scale"}`) + `,"ResponseStatus":{"metadata":{},"code":200},` +
			`"RequestObject":"","ResponseObject":null,"RequestReceivedTime":"2026-11-23T11:00:00.123456Z","StageReceivedTime":"2026-11-23T11:00:00.223456Z","Annotations":{"authorization.k8s.io/decision":"allow"}}`,
		"Pub/Sub of a line":           `{"message":{"data":` + base64Text(line) + `,"messageId":"1"},"subscription":"s"}`,
		"Pub/Sub, pulled":             `{"receivedMessages":[{"ackId":"x","message":{"data":` + base64Text(line) + `}}]}`,
		"Cloud Logging, jsonPayload":  `[{"insertId":"x","jsonPayload":` + line + `,"timestamp":"2026-11-23T11:00:01Z"}]`,
		"Cloud Logging, textPayload":  `{"entries":[{"insertId":"x","textPayload":` + text(line) + `}]}`,
		"ViaQ":                        viaqOf(line),
		"ViaQ in an array":            `[` + viaqOf(deployment) + `]`,
		"ViaQ, structured":            `{"@timestamp":"x","log_type":"audit","log_source":"kubeAPI","structured":` + line + `,"message":""}`,
		"ViaQ, message":               `{"@timestamp":"x","log_type":"audit","message":` + text(line) + `}`,
		"GELF":                        `{"version":"1.1","host":"h","short_message":"{","full_message":` + text(line) + `,"_x":1}`,
		"GELF, short":                 `{"version":"1.1","host":"h","short_message":` + text(line) + `}`,
		"Graylog's export":            `{"messages":[{"message":{"message":` + text(line) + `,"timestamp":"x"},"index":"graylog_0"}],"total_results":1}`,
		"Elastic":                     `{"@timestamp":"x","kubernetes":{"audit":` + line + `},"event":{"original":` + text(line) + `}}`,
		"Elastic, the object alone":   `{"@timestamp":"x","kubernetes":{"audit":` + line + `}}`,
		"Elastic, the original alone": `{"@timestamp":"x","event":{"original":` + text(line+"\n") + `}}`,
		"Elastic, dotted":             `{"@timestamp":"x","event.original":` + text(line) + `}`,
		"Elastic, a hit":              `{"_index":"i","_source":{"event":{"original":` + text(line) + `}}}`,
		"OTLP, text":                  otlpOf(anyOf(line + "\n")),
		"OTLP, kvlist":                otlpOf(kvlist(line)),
		"OTLP, a log line in it":      otlpOf(kvlist(`{"log":` + text(line) + `,"stream":"stdout"}`)),
		"OTLP, names of protobuf":     strings.NewReplacer("stringValue", "string_value", `"resourceLogs"`, `"resourceLogs"`).Replace(otlpOf(anyOf(line))),
		"Fluent Bit, text":            `[{"date":1764000000.5,"log":` + text(line+"\n") + `}]`,
		"Fluent Bit, object":          `[{"date":1764000000.5,"log":` + line + `}]`,
		"Fluent Bit, merged":          `[{"date":1764000000.5,"log":"x","log_processed":` + line + `}]`,
		"Fluent Bit, parsed":          `[{"date":1764000000.5,` + line[1:] + `]`,
		"Vector":                      `{"file":"/var/log/audit.log","host":"h","message":` + text(line) + `,"source_type":"file","timestamp":"x"}` + "\n",
		"Vector, an array":            `[{"message":` + text(line) + `}]`,
		"Vector, an object":           `{"message":` + line + `}`,
		"Logstash":                    `{"@timestamp":"x","@version":"1","message":` + text(line) + `}`,
		"Fluentd":                     `{"@timestamp":"x","log":` + text(line) + `}`,
		"docker":                      `{"log":` + text(line+"\n") + `,"stream":"stdout","time":"2026-11-23T11:00:01.1Z"}` + "\n",
		"CRI":                         "2026-11-23T11:00:01.123456789Z stdout F " + line + "\n",
		"CRI with an offset":          "2026-11-23T11:00:01.123456789+01:00 stderr F " + line,
		"CRI, in parts":               "2026-11-23T11:00:01.1Z stdout P " + line[:200] + "\n2026-11-23T11:00:01.2Z stdout P " + line[200:300] + "\n2026-11-23T11:00:01.3Z stdout F " + line[300:] + "\n",
		"CRI in a log line":           `{"log":` + text("2026-11-23T11:00:01.123456789Z stdout F "+line) + `}`,
		"list in a message":           `{"message":` + text(`{"kind":"EventList","items":[`+deployment+`]}`) + `}`,
		"a string in a string":        `{"log":` + text(text(line)) + `}`,
		"envelope in envelope":        `{"log":` + text(`{"message":`+text(`{"log":`+text(line)+`}`)+`}`) + `}`,
	}
}

// TestCarriers has one event come in every envelope: it is the same one, with
// the same id, whatever carries it.
func TestCarriers(t *testing.T) {
	d := newDecoder(t)
	_, plain, _ := take(t, d, list(deployment))
	for name, in := range carriers() {
		t.Run(name, func(t *testing.T) {
			g, events, quarantined := take(t, d, in)
			for _, q := range quarantined {
				t.Log(q.Reason, string(q.Redacted))
			}
			if diff := cmp.Diff(got{Events: []string{"a1"}}, g); diff != "" {
				t.Fatal(diff)
			}
			if events[0].ID != plain[0].ID {
				t.Errorf("it has another id than by webhook: %s", events[0].Raw)
			}
		})
	}
}

func list(items ...string) string {
	return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(items, ",") + `]}`
}

// TestMixed has items of a delivery that are wrong, or none that matter: each
// costs itself alone, and counts once.
func TestMixed(t *testing.T) {
	a, b := lineOf(1), lineOf(2)
	both := []string{"a1", "a2"}
	for name, tc := range map[string]struct {
		in   string
		want got
	}{
		"envelopes by lines":          {cloudWatch(auditStream, a) + "\n" + cloudWatch(auditStream, b) + "\n", got{Events: both}},
		"envelopes without lines":     {cloudWatch(auditStream, a) + cloudWatch(auditStream, b), got{Events: both}},
		"an array of envelopes":       {`[` + cloudWatch(auditStream, a) + `,{"log":` + text(b) + `}]`, got{Events: both}},
		"of one envelope":             {cloudWatch(auditStream, a, b), got{Events: both}},
		"lines in one text":           {`{"log":` + text(a+"\n"+b+"\n") + `}`, got{Events: both}},
		"members of gzip":             {zipped(a+"\n") + zipped(b+"\n"), got{Events: both}},
		"control message":             {`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1764000000000,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`, got{Skipped: []string{envelope.SkippedControl}}},
		"control message, sorted":     {`{"logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination Firehose.","timestamp":1}],"messageType":"CONTROL_MESSAGE"}`, got{Skipped: []string{envelope.SkippedControl}}},
		"authenticator's stream":      {cloudWatch("authenticator-0123", `time="2026-11-23T11:00:00Z" level=info msg="access granted"`, `{"level":"info"}`), got{Skipped: []string{envelope.SkippedStream, envelope.SkippedStream}}},
		"the stream's name behind":    {`{"logEvents":[{"id":"1","message":"hello"},{"id":"2","message":` + text(a) + `},null],"logGroup":"x","logStream":"authenticator-01","messageType":"DATA_MESSAGE"}`, got{Events: both[:1], Skipped: []string{envelope.SkippedStream, envelope.SkippedStream}}},
		"the audit's name behind":     {`{"logEvents":[{"id":"1","message":"hello"},{"id":"2","message":` + text(a) + `}],"logStream":"` + auditStream + `","messageType":"DATA_MESSAGE"}`, got{Events: both[:1], Quarantined: 1}},
		"cut off before the name":     {`{"logEvents":[{"id":"1","message":"hello"},{"id":"2","message":` + text(a) + `}],"logStr`, got{Events: both[:1], Quarantined: 2}},
		"an event in another stream":  {cloudWatch("kube-apiserver-0123", "I1123 11:00:00.1 1 x.go:1] x", a), got{Events: both[:1], Skipped: []string{envelope.SkippedStream}}},
		"another line in the audit's": {cloudWatch(auditStream, a, "I1123 11:00:00.1 1 x.go:1] x", b), got{Events: both, Quarantined: 1}},
		"scheduler by filter":         {`{"events":[{"logStreamName":"kube-scheduler-01","message":"I1123","timestamp":1},{"logStreamName":"` + auditStream + `","message":` + text(a) + `,"timestamp":1}]}`, got{Events: both[:1], Skipped: []string{envelope.SkippedStream}}},
		"a stream of no name":         {cloudWatch("mine", "hello"), got{Quarantined: 1}},
		"another category":            {`{"records":[` + azureRecord("guard", azureProperties("hello")) + `,` + azureRecord("kube-audit", azureProperties(a)) + `]}`, got{Events: both[:1], Skipped: []string{envelope.SkippedStream}}},
		"no category, no event":       {`{"records":[{"time":"x","resourceId":"y","properties":{"log":"hello"}}]}`, got{Quarantined: 1}},
		"another service":             {`[{"protoPayload":{"@type":"x","serviceName":"container.googleapis.com","methodName":"google.container.v1.ClusterManager.UpdateCluster"},"timestamp":"2026-11-23T11:00:01Z"}]`, got{Skipped: []string{envelope.SkippedService}}},
		"a container's log":           {`[{"textPayload":"hello","resource":{"type":"k8s_container"}}]`, got{Skipped: []string{envelope.SkippedNotAudit}}},
		"host audit":                  {`{"@timestamp":"x","log_type":"audit","log_source":"auditd","message":"type=SYSCALL msg=audit(1.2:3)"}`, got{Skipped: []string{envelope.SkippedHost}}},
		"OVN audit":                   {`{"@timestamp":"x","log_type":"audit","log_source":"ovn","message":"2026|acl_log"}`, got{Skipped: []string{envelope.SkippedHost}}},
		"application's log":           {`{"@timestamp":"x","log_type":"application","message":"hello"}`, got{Skipped: []string{envelope.SkippedNotAudit}}},
		"empty lists":                 {`{"records":[]}{"logEvents":[]}{"events":[]}{"resourceLogs":[]}{"resourceLogs":[{"scopeLogs":[{"logRecords":[]}]}]}[]`, got{}},
		"lists that are null":         {`{"records":null}{"logEvents":null,"messageType":"DATA_MESSAGE"}`, got{}},
		"null items":                  {`{"records":[null,` + azureRecord("kube-audit", azureProperties(a)) + `,null]}`, got{Events: both[:1], Quarantined: 2}},
		"items of other types":        {`{"logEvents":[17,"x",[],{},true,{"message":7},{"message":null},{"message":[]}]}`, got{Quarantined: 7}},
		"text that is no JSON":        {`{"log":"hello"}` + "\n" + `{"log":` + text(a) + `}`, got{Events: both[:1], Quarantined: 1}},
		"text that is cut off":        {`[{"log":` + text(a[:200]) + `},{"log":` + text(b) + `}]`, got{Events: both[1:], Quarantined: 1}},
		"empty text":                  {`[{"log":""},{"message":"\n"},{"log":` + text(b) + `}]`, got{Events: both[1:], Quarantined: 2}},
		"bad base64":                  {`{"records":[{"data":"***"},{"data":` + base64Text(a) + `},{"data":7},{"data":""}]}`, got{Events: both[:1], Quarantined: 3}},
		"bad gzip":                    {`{"records":[{"data":` + base64Text(zipped(a)[:40]) + `},{"data":` + base64Text("\x1f\x8bxx") + `},{"data":` + base64Text(zipped(b)) + `}]}`, got{Events: both[1:], Quarantined: 2}},
		"gzip with an end of its own": {zipped(a) + "\n", got{Events: both[:1], Quarantined: 1}},
		"gzip that is cut off":        {zipped(a + "\n" + b)[:len(zipped(a+"\n"+b))-9], got{Events: both, Quarantined: 1}},
		"wrong types":                 {`{"awslogs":"x"}{"awslogs":{"data":7}}{"records":{}}{"protoPayload":7}{"properties":7,"category":"kube-audit"}{"kubernetes":{"audit":7}}{"body":7}{"structured":7,"log_type":"audit"}`, got{Quarantined: 8}},
		"a record beside a list":      {`{"records":[],"log":` + text(a) + `}`, got{Events: both[:1]}},
		"OTLP, one is no event":       {otlpOf(anyOf(a), anyOf("hello"), `{}`, kvlist(b)), got{Events: both, Quarantined: 2}},
		"OTLP, wrong types":           {`{"resourceLogs":[7,{"scopeLogs":[null,{"logRecords":[{"body":{"stringValue":7}},{"body":{"kvlistValue":{"values":7}}},{}]}]}]}`, got{Quarantined: 5}},
		"an unknown shape":            {`{"hello":{"world":1}}` + a, got{Events: both[:1], Quarantined: 1}},
		"CRI, other lines":            {"2026-11-23T11:00:01.1Z stdout F I1123 x\n2026-11-23T11:00:01.1Z stdout F " + a + "\n" + b + "\n", got{Events: both, Quarantined: 1}},
		"numbers as texts":            {`{"events":[{"timestamp":"1764000000000","ingestionTime":"1","message":` + text(a) + `}]}`, got{Events: both[:1]}},
		"names twice":                 {`{"log":"hello","log":` + text(a) + `}`, got{Events: both[:1]}},
		"an event with records":       {`{"records":[` + a + `,` + b + `]}`, got{Events: both}},
		"an event's own member":       {a[:len(a)-1] + `,"records":[1,2],"log":"x"}`, got{Events: both[:1]}},
	} {
		t.Run(name, func(t *testing.T) {
			g, _, quarantined := take(t, newDecoder(t), tc.in)
			if diff := cmp.Diff(tc.want, g); diff != "" {
				for _, q := range quarantined {
					t.Logf("%s: %s", q.Reason, q.Redacted)
				}
				t.Error(diff)
			}
		})
	}
}
