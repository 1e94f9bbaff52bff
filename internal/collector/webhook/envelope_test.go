package webhook_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/porter-dev/audit-operator/internal/store"
)

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// send posts a body with headers, each "Name: value".
func (s *service) send(t *testing.T, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

// counts is what a source has, whatever came before.
type counts struct{ Stored, Duplicate, Quarantined int64 }

func (s *service) counts(t *testing.T) counts {
	t.Helper()
	stats := s.stats(t)
	return counts{stats.Stored, stats.Duplicate, stats.Quarantined}
}

func (c counts) since(before counts) counts {
	return counts{c.Stored - before.Stored, c.Duplicate - before.Duplicate, c.Quarantined - before.Quarantined}
}

func jsonText(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func subscription(messages ...string) string {
	var events []string
	for i, m := range messages {
		events = append(events, fmt.Sprintf(`{"id":"%d","timestamp":1,"message":%s}`, i, jsonText(m)))
	}
	return `{"messageType":"DATA_MESSAGE","logGroup":"/aws/eks/x/cluster","logStream":"kube-apiserver-audit-1","logEvents":[` + strings.Join(events, ",") + `]}`
}

// TestEnvelopes sends the same events by webhook and in envelopes: each is
// stored once, and counted by itself.
func TestEnvelopes(t *testing.T) {
	s := serve(t, 0)
	a, b := item(1), item(2)
	for _, tc := range []struct {
		name, path, body string
		headers          []string
		want             counts
	}{
		{"webhook", "kube-apiserver", list(a), nil, counts{Stored: 1}},
		{"subscription", "kube-apiserver", subscription(a, b), nil, counts{Stored: 1, Duplicate: 1}},
		{"gzip", "kube-apiserver", zipped(t, list(a, b)), []string{"Content-Encoding: gzip"}, counts{Duplicate: 2}},
		{"gzip without the header", "kube-apiserver", zipped(t, list(a, b)), nil, counts{Duplicate: 2}},
		{"the header without gzip", "kube-apiserver", list(a, b), []string{"Content-Encoding: GZIP"}, counts{Duplicate: 2}},
		{"array", "kube-apiserver", "[" + a + "," + item(3) + "]", nil, counts{Stored: 1, Duplicate: 1}},
		{"Fluent Bit", "kube-apiserver", `[{"date":1.5,"log":` + jsonText(a+"\n") + `},{"date":1.5,"log":"hello"}]`, nil, counts{Duplicate: 1, Quarantined: 1}},
		{"another stream", "kube-apiserver", strings.Replace(subscription("hello", a), "kube-apiserver-audit-1", "authenticator-1", 1), nil, counts{Duplicate: 1}},
		{"OTLP in JSON", "kube-apiserver/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":` + jsonText(a) + `}}]}]}]}`, []string{"Content-Type: application/json"}, counts{Duplicate: 1}},
		{"gzip that is cut off", "kube-apiserver", zipped(t, list(a, b))[:100], nil, counts{Quarantined: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := s.counts(t)
			resp, answer := s.send(t, tc.path, tc.body, tc.headers...)
			if diff := cmp.Diff(tc.want, s.counts(t).since(before)); resp.StatusCode != http.StatusOK || diff != "" {
				t.Errorf("status %d %s: %s", resp.StatusCode, answer, diff)
			}
		})
	}
}

// TestBomb has a body that inflates to too much: what came before it is stored,
// and the answer says why the rest is not.
func TestBomb(t *testing.T) {
	s := serve(t, 0)
	resp, answer := s.send(t, "kube-apiserver", zipped(t, item(1)+"\n"+item(2)+"\n"+strings.Repeat(" ", 64<<20)+item(3)), "Content-Encoding: gzip")
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(answer, "100 times its size") {
		t.Errorf("answer %d %s", resp.StatusCode, answer)
	}
	if diff := cmp.Diff(counts{Stored: 2}, s.counts(t)); diff != "" {
		t.Error(diff)
	}
	if got := s.registry.Refused("kube-apiserver"); got != 1 {
		t.Errorf("%d are refused, want 1", got)
	}
	s.store.err = store.ErrUnavailable
	if resp, _ := s.send(t, "kube-apiserver", zipped(t, item(4)+strings.Repeat(" ", 64<<20))); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d while what came before can't be stored", resp.StatusCode)
	}
}

// TestFirehose speaks as Firehose's HTTP endpoint destination does.
func TestFirehose(t *testing.T) {
	s := serve(t, 0)
	body := `{"requestId":"r-1","timestamp":1,"records":[{"data":"` + base64.StdEncoding.EncodeToString([]byte(zipped(t, subscription(item(1), item(2))))) + `"},{"data":"***"}]}`
	for _, key := range []string{"", "wrong"} {
		resp, answer := s.send(t, "kube-apiserver", body, "Authorization: ", "X-Amz-Firehose-Request-Id: r-1", "X-Amz-Firehose-Access-Key: "+key)
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(answer, `"errorMessage":"unknown source`) {
			t.Errorf("key %q: answer %d %s", key, resp.StatusCode, answer)
		}
	}
	resp, answer := s.send(t, "kube-apiserver", body, "Authorization: ", "X-Amz-Firehose-Request-Id: r-1", "X-Amz-Firehose-Access-Key: "+token)
	var said struct {
		RequestID string `json:"requestId"`
		Timestamp int64  `json:"timestamp"`
	}
	if err := json.Unmarshal([]byte(answer), &said); err != nil || resp.StatusCode != 200 || said.RequestID != "r-1" || said.Timestamp == 0 || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answer %d %s (%s), %v", resp.StatusCode, answer, resp.Header.Get("Content-Type"), err)
	}
	if diff := cmp.Diff(counts{Stored: 2, Quarantined: 1}, s.counts(t)); diff != "" {
		t.Error(diff)
	}
	s.store.err = store.ErrUnavailable
	resp, answer = s.send(t, "kube-apiserver", body, "X-Amz-Firehose-Request-Id: r-2")
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(answer, `"requestId":"r-2"`) || !strings.Contains(answer, "errorMessage") {
		t.Errorf("answer %d %s", resp.StatusCode, answer)
	}
}

// TestOTLP speaks as an OTLP exporter does, in protobuf and compressed.
func TestOTLP(t *testing.T) {
	s := serve(t, 0)
	record := func(v *commonpb.AnyValue) *logspb.LogRecord {
		return &logspb.LogRecord{TimeUnixNano: 1, TraceId: []byte("0123456789abcdef"), Body: v, SeverityText: "INFO"}
	}
	text := func(s string) *commonpb.AnyValue {
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
	}
	request := func(records ...*logspb.LogRecord) string {
		body, err := proto.Marshal(&collogspb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{}, {
			SchemaUrl: "x", ScopeLogs: []*logspb.ScopeLogs{{LogRecords: records, Scope: &commonpb.InstrumentationScope{Name: "x"}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	fields := &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: []*commonpb.KeyValue{
		{Key: "log", Value: text(item(2))}, {Key: "n", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: 7}}},
	}}}}
	for _, tc := range []struct {
		name, body string
		headers    []string
		want       counts
		rejected   int64
	}{
		{"protobuf", request(record(text(item(1))), record(fields)), nil, counts{Stored: 2}, 0},
		{"compressed", zipped(t, request(record(text(item(3))))), []string{"Content-Encoding: gzip"}, counts{Stored: 1}, 0},
		{"some are no events", request(record(text("hello")), record(text(item(4))), record(nil)), nil, counts{Stored: 1, Quarantined: 2}, 2},
		{"nothing", "", nil, counts{}, 0},
		{"cut off", request(record(text(item(5))), record(text(item(6))))[:700], nil, counts{Quarantined: 1}, 1},
		{"no protobuf", "hello, world", nil, counts{Quarantined: 1}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := s.counts(t)
			resp, answer := s.send(t, "kube-apiserver/v1/logs", tc.body, append(tc.headers, "Content-Type: application/x-protobuf")...)
			var said collogspb.ExportLogsServiceResponse
			if err := proto.Unmarshal([]byte(answer), &said); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-protobuf" {
				t.Fatalf("answer %d %q, %v", resp.StatusCode, answer, err)
			}
			got := s.counts(t).since(before)
			if tc.name == "cut off" {
				got.Stored = 0 // as many as there was room for
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if rejected := said.GetPartialSuccess().GetRejectedLogRecords(); rejected != tc.rejected || (rejected > 0) != (said.GetPartialSuccess().GetErrorMessage() != "") {
				t.Errorf("it says %v, want %d rejected", &said, tc.rejected)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		resp, answer := s.send(t, "kube-apiserver/v1/logs", `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}`, "Content-Type: application/json")
		if resp.StatusCode != 200 || !strings.Contains(answer, `"rejectedLogRecords":"1"`) || !json.Valid([]byte(answer)) {
			t.Errorf("answer %d %s", resp.StatusCode, answer)
		}
	})
	t.Run("errors", func(t *testing.T) {
		resp, answer := s.send(t, "kube-apiserver/v1/logs", "", "Authorization: ")
		if resp.StatusCode != 401 || answer != `{"code":16,"message":"unknown source, or wrong credentials"}` {
			t.Errorf("answer %d %s", resp.StatusCode, answer)
		}
		s.store.err = store.ErrUnavailable
		resp, answer = s.send(t, "kube-apiserver/v1/logs", request(record(text(item(7)))), "Content-Type: application/x-protobuf")
		if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "3" || !strings.HasPrefix(answer, "\x08\x0e\x12") {
			t.Errorf("answer %d %q", resp.StatusCode, answer)
		}
	})
}
