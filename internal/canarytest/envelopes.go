package canarytest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

// Delivery is what a carrier sends, with what tells how to read it.
type Delivery struct {
	Place  string
	Under  string // after the source's address
	Header []string
	Body   string
	// Quarantined says that what it carries is no event.
	Quarantined bool
}

// carrier puts lines that are events into its shape.
type carrier struct {
	name   string
	wrap   func(line string) string
	under  string
	header []string
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // to memory
	_ = w.Close()
	return b.String()
}

func base64Text(text string) string {
	return `"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"`
}

// around is a carrier that writes the line, or the line as a text, for %s.
func around(name, shape string, write func(string) string) carrier {
	return carrier{name: name, wrap: func(line string) string { return strings.Replace(shape, "%s", write(line), 1) }}
}

func asIs(line string) string { return line }

func cloudWatch(line string) string {
	return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/aws/eks/blue/cluster","logStream":"kube-apiserver-audit-01","subscriptionFilters":["a"],"logEvents":[{"id":"1","timestamp":1,"message":` + jsonText(line) + `}]}`
}

func azureLog(line string) string { return `{"log":` + jsonText(line+"\n") + `,"stream":"stdout"}` }

func azureText(line string) string { return jsonText(azureLog(line)) }

// carriers are the shapes of docs/spec/envelopes.md.
func carriers() []carrier {
	all := []carrier{
		around("list", `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[%s]}`, asIs), around("line", "%s\n", asIs), around("array", `[%s]`, asIs), around("text", `%s`, jsonText), around("list in an array", `[{"kind":"EventList","items":[%s]}]`, asIs),
		{name: "gzip", wrap: gzipped, header: []string{"Content-Encoding", "gzip"}}, {name: "gzip untold", wrap: gzipped},
		{name: "CloudWatch", wrap: cloudWatch}, {name: "CloudWatch, gzip", wrap: func(line string) string { return gzipped(cloudWatch(line)) }},
		around("Lambda", `{"awslogs":{"data":%s}}`, func(line string) string { return base64Text(gzipped(cloudWatch(line))) }),
		around("Kinesis", `{"Records":[{"kinesis":{"data":%s},"eventSource":"aws:kinesis"}]}`, func(line string) string { return base64Text(gzipped(cloudWatch(line))) }),
		around("Firehose", `{"requestId":"r","timestamp":1764000000000,"records":[{"data":%s}]}`, func(line string) string { return base64Text(gzipped(cloudWatch(line))) }),
		around("Firehose, lines", `{"requestId":"r","timestamp":1764000000000,"records":[{"data":%s}]}`, func(line string) string { return base64Text(line + "\n") }),
		around("filter-log-events", `{"events":[{"logStreamName":"kube-apiserver-audit-01","timestamp":1,"message":%s,"ingestionTime":1,"eventId":"3"}],"searchedLogStreams":[]}`, jsonText), around("get-log-events", `{"events":[{"timestamp":1,"message":%s,"ingestionTime":1}],"nextForwardToken":"f/3"}`, jsonText),
		around("export of CloudWatch", "2026-11-23T11:00:00.223Z %s\n", asIs),
		around("Event Hub", `{"records":[{"time":"x","resourceId":"y","category":"kube-audit","properties":%s}]}`, azureLog), around("Event Hub, text", `{"records":[{"time":"x","resourceId":"y","category":"kube-audit-admin","properties":%s}]}`, azureText),
		around("storage account", `{"time":"x","resourceId":"y","category":"kube-audit","properties":%s}`, azureLog), around("AzureDiagnostics", `[{"TimeGenerated":"x","Category":"kube-audit","log_s":%s}]`, jsonText),
		around("Pub/Sub", `{"message":{"data":%s,"messageId":"1"},"subscription":"s"}`, base64Text), around("Cloud Logging, jsonPayload", `[{"insertId":"x","jsonPayload":%s,"timestamp":"2026-11-23T11:00:01Z"}]`, asIs), around("Cloud Logging, textPayload", `{"entries":[{"insertId":"x","textPayload":%s}]}`, jsonText),
		around("ViaQ", `{"@timestamp":"x","log_type":"audit","log_source":"kubeAPI","k8s_audit_level":"RequestResponse",%s`, func(line string) string { return line[1:] }), around("ViaQ, structured", `{"@timestamp":"x","log_type":"audit","structured":%s,"message":""}`, asIs), around("ViaQ, message", `{"@timestamp":"x","log_type":"audit","message":%s}`, jsonText),
		around("GELF", `{"version":"1.1","host":"h","short_message":"{","full_message":%s}`, jsonText), around("Graylog", `{"messages":[{"message":{"message":%s,"timestamp":"x"},"index":"g"}],"total_results":1}`, jsonText),
		around("Elastic", `{"@timestamp":"x","event":{"original":%s}}`, jsonText), around("Elastic, object", `{"@timestamp":"x","kubernetes":{"audit":%s}}`, asIs), around("Elastic, a hit", `{"_index":"i","_source":{"event":{"original":%s}}}`, jsonText),
		around("Fluent Bit", `[{"date":1764000000.5,"log":%s}]`, jsonText), around("Fluent Bit, object", `[{"date":1764000000.5,"log":%s}]`, asIs), around("Fluent Bit, merged", `[{"date":1764000000.5,"log":"x","log_processed":%s}]`, asIs),
		around("docker", `{"log":%s,"stream":"stdout","time":"2026-11-23T11:00:01.1Z"}`, func(line string) string { return jsonText(line + "\n") }), around("Vector", `{"file":"a","host":"h","message":%s,"source_type":"file"}`, jsonText), around("Logstash", `[{"@version":"1","message":%s}]`, asIs),
		around("CRI", "2026-11-23T11:00:01.123456789Z stdout F %s\n", asIs), {name: "CRI, parts", wrap: func(line string) string {
			const stamp = "2026-11-23T11:00:01.1Z stdout "
			return stamp + "P " + line[:len(line)/2] + "\n" + stamp + "F " + line[len(line)/2:] + "\n"
		}},
		around("envelope in envelope", `{"log":%s}`, func(line string) string {
			return jsonText(`{"message":` + jsonText(`{"log":`+jsonText(line)+`}`) + `}`)
		}),
	}
	return append(all, otlp()...)
}

func otlp() []carrier {
	wrap := func(body func(string) *commonpb.AnyValue) func(string) string {
		return func(line string) string {
			out, err := proto.Marshal(&collogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{Body: body(line)}}}}}}})
			if err != nil {
				panic(err) // there is none
			}
			return string(out)
		}
	}
	text := func(line string) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: line}}
	}
	header := []string{"Content-Type", "application/x-protobuf"}
	return []carrier{
		around("OTLP, JSON", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":%s}}]}]}]}`, jsonText),
		{name: "OTLP", wrap: wrap(text), under: "/v1/logs", header: header},
		{name: "OTLP, list of pairs", wrap: wrap(pairs), under: "/v1/logs", header: header},
		{name: "OTLP, gzip", wrap: func(line string) string { return gzipped(wrap(text)(line)) }, under: "/v1/logs", header: append(header, "Content-Encoding", "gzip")},
	}
}

// pairs is a line of JSON as OTLP has values, or a text if it is none.
func pairs(line string) *commonpb.AnyValue {
	var v any
	if json.Unmarshal([]byte(line), &v) != nil {
		v = line
	}
	return anyValue(v)
}

func anyValue(v any) *commonpb.AnyValue {
	switch v := v.(type) {
	case string:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}
	case float64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(v)}}
	case []any:
		var list commonpb.ArrayValue
		for _, item := range v {
			list.Values = append(list.Values, anyValue(item))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &list}}
	case map[string]any:
		var list commonpb.KeyValueList
		for name, value := range v {
			list.Values = append(list.Values, &commonpb.KeyValue{Key: name, Value: anyValue(value)})
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &list}}
	}
	return &commonpb.AnyValue{}
}

// event plants words in all places of one; TIMES stands for its times.
const event = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"AUDITID","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/canaries/pods/EVIDENCE/exec?command=mysql&command=-pCANARY&token=CANARY","verb":"create",` +
	`"user":{"username":"EVIDENCE@example.com","groups":["EVIDENCE"],"extra":{"example.com/token":["CANARY"],"example.com/team":["EVIDENCE"]}},"sourceIPs":["203.0.113.9"],"userAgent":"EVIDENCE/1 (https://a:CANARY@x.example/)",` +
	`"objectRef":{"resource":"pods","namespace":"canaries","name":"EVIDENCE","apiVersion":"v1","subresource":"exec"},"responseStatus":{"metadata":{},"code":500,"message":"EVIDENCE: dial postgres://app:CANARY@db/x"},` +
	`"requestObject":{"kind":"Pod","spec":{"containers":[{"env":[{"name":"A","value":"CANARY"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"EVIDENCE","key":"password"}}}],"args":["--password","CANARY"]}],"volumes":[{"secret":{"secretName":"EVIDENCE"}}]}},` +
	`"responseObject":{"kind":"Secret","metadata":{"name":"EVIDENCE"},"data":{"a":"CANARY","b":"BASE64CANARY"}},TIMES"annotations":{"example.com/api-key":"CANARY","authorization.k8s.io/decision":"allow","example.com/note":"allowed by EVIDENCE"}}`

// rows are carriers whose shape is made of the event's fields.
var rows = map[string]string{
	"AKSAudit": `{"TimeGenerated":"x","Level":"RequestResponse","AuditId":"AUDITID","Stage":"ResponseComplete","RequestUri":"/api/v1/namespaces/canaries/pods/EVIDENCE/exec?command=mysql&command=-pCANARY","Verb":"create","User":{"username":"EVIDENCE","groups":["dev"],"extra":{"token":["CANARY"]}},` +
		`"SourceIps":["203.0.113.9"],"UserAgent":"a token=CANARY","ObjectRef":"{\"resource\":\"pods\",\"namespace\":\"canaries\",\"name\":\"EVIDENCE\",\"apiVersion\":\"v1\",\"subresource\":\"exec\"}","ResponseStatus":{"metadata":{},"code":500,"message":"password=CANARY"},"RequestObject":"{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"A\",\"value\":\"CANARY\"}]}]}}",` +
		`"ResponseObject":{"kind":"Secret","data":{"a":"CANARY"}},"RequestReceivedTime":"TIME","StageReceivedTime":"TIME","Annotations":{"example.com/api-key":"CANARY","note":"EVIDENCE"}}`,
	"Cloud Logging": `[{"insertId":"AUDITID","timestamp":"TIME","labels":{"authorization.k8s.io/reason":"EVIDENCE","example.com/token":"CANARY"},"operation":{"id":"AUDITID","first":true,"last":true,"producer":"k8s.io"},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"k8s.io","methodName":"io.k8s.apps.v1.deployments.patch",` +
		`"resourceName":"apps/v1/namespaces/canaries/deployments/EVIDENCE","authenticationInfo":{"principalEmail":"EVIDENCE@example.com"},"requestMetadata":{"callerIp":"203.0.113.9","callerSuppliedUserAgent":"a (token=CANARY)"},"status":{"code":3,"message":"password=CANARY"},` +
		`"request":{"@type":"apps.k8s.io/v1.Patch","spec":{"template":{"spec":{"containers":[{"env":[{"name":"A","value":"CANARY"}],"args":["-c","x","--password","CANARY"]}]}}}},"response":{"@type":"core.k8s.io/v1.Secret","kind":"Secret","data":{"a":"CANARY"}}}}]`,
}

// broken are what carriers bring that is no event.
var broken = map[string]string{
	"event without times": strings.NewReplacer("TIMES", "", evidence, "anything").Replace(event),
	"other record":        `{"kind":"Deployment","spec":{"password":"CANARY","env":[{"name":"A","value":"CANARY"}],"log":"{\"requestObject\":{\"kind\":\"Secret\",\"stringData\":{\"password\":\"CANARY\"}}}"},"note":"dial postgres://app:CANARY@db/x"}`,
	"line of a program":   `I1123 11:00:00.1 1 x.go:1] connect with password=CANARY and CANARY`,
	"cut off":             `{"kind":"Event","level":"RequestResponse","requestObject":{"kind":"Secret","data":{"a":"CANARY"`,
}

// Deliveries returns an event that plants words in each envelope, and what is
// no event in each, of the given time.
func Deliveries(corpus *Corpus, at time.Time) (all []Delivery) {
	time := at.UTC().Format("2006-01-02T15:04:05.000000Z")
	fill := func(place, text string) string {
		id := fmt.Sprintf("a%d", len(all))
		return corpus.Sow(place, strings.NewReplacer("AUDITID", id, "TIMES", `"requestReceivedTimestamp":"`+time+`","stageTimestamp":"`+time+`",`, "TIME", time).Replace(text))
	}
	for _, c := range carriers() {
		place := "envelope " + c.name
		all = append(all, Delivery{Place: place, Under: c.under, Header: c.header, Body: c.wrap(fill(place, event))})
		for _, name := range slices.Sorted(maps.Keys(broken)) {
			place := place + ", " + name
			all = append(all, Delivery{Place: place, Under: c.under, Header: c.header, Body: c.wrap(fill(place, broken[name])), Quarantined: true})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		place := "envelope " + name
		all = append(all, Delivery{Place: place, Body: fill(place, rows[name])})
	}
	return all
}
