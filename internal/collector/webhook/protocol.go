package webhook

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/porter-dev/audit-operator/internal/collector"
)

// protocol is how a sender expects its delivery to be read and answered.
type protocol interface {
	ingest(c *collector.Collector) func(context.Context, collector.Source, io.Reader) (collector.Outcome, error)
	accept(w http.ResponseWriter, o collector.Outcome)
	refuse(w http.ResponseWriter, status int, message string)
}

// plain is the protocol of API servers and most shippers: an empty 200, or an
// error in words.
type plain struct{}

func (plain) ingest(c *collector.Collector) func(context.Context, collector.Source, io.Reader) (collector.Outcome, error) {
	return c.Ingest
}

func (plain) accept(w http.ResponseWriter, _ collector.Outcome) { w.WriteHeader(http.StatusOK) }

func (plain) refuse(w http.ResponseWriter, status int, message string) {
	http.Error(w, message, status)
}

// Headers of a Firehose HTTP endpoint delivery.
const (
	firehoseRequestID = "X-Amz-Firehose-Request-Id"
	firehoseAccessKey = "X-Amz-Firehose-Access-Key"
)

// firehose is the protocol of Firehose's HTTP endpoint destination, which takes
// an answer for success only where it repeats the request's id.
type firehose struct {
	plain
	id string
}

type firehoseAnswer struct {
	RequestID string `json:"requestId"`
	Timestamp int64  `json:"timestamp"` // in milliseconds
	Error     string `json:"errorMessage,omitzero"`
}

func (f firehose) accept(w http.ResponseWriter, _ collector.Outcome) { f.answer(w, http.StatusOK, "") }

func (f firehose) refuse(w http.ResponseWriter, status int, message string) {
	f.answer(w, status, message)
}

func (f firehose) answer(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(firehoseAnswer{RequestID: f.id, Timestamp: time.Now().UnixMilli(), Error: message})
	if err != nil { // the id is no UTF-8
		status, body = http.StatusBadRequest, nil
	}
	answer(w, status, "application/json", body)
}

// otlp is OTLP/HTTP.
type otlp struct{ protobuf bool }

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func isProtobuf(req *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	return kind == protobufType || kind == "application/protobuf"
}

func (o otlp) ingest(c *collector.Collector) func(context.Context, collector.Source, io.Reader) (collector.Outcome, error) {
	if o.protobuf {
		return c.IngestOTLP
	}
	return c.Ingest
}

// accept answers an ExportLogsServiceResponse. Records that are quarantined are
// rejected in its terms: the exporter logs that, and must not send them again.
func (o otlp) accept(w http.ResponseWriter, out collector.Outcome) {
	message := ""
	if out.Quarantined > 0 {
		message = "records that are no Kubernetes audit events were quarantined; the operator's list of the quarantine says why"
	}
	if !o.protobuf {
		body := "{}"
		if message != "" {
			body = fmt.Sprintf(`{"partialSuccess":{"rejectedLogRecords":"%d","errorMessage":%q}}`, out.Quarantined, message)
		}
		answer(w, http.StatusOK, jsonType, []byte(body))
		return
	}
	var body []byte
	if message != "" {
		partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(out.Quarantined))
		partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), message)
		body = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
	}
	answer(w, http.StatusOK, protobufType, body)
}

// refuse answers a google.rpc.Status.
func (o otlp) refuse(w http.ResponseWriter, status int, message string) {
	code := 3 // INVALID_ARGUMENT, of google.rpc.Code
	switch status {
	case http.StatusUnauthorized:
		code = 16 // UNAUTHENTICATED
	case http.StatusServiceUnavailable:
		code = 14 // UNAVAILABLE
	}
	if !o.protobuf {
		answer(w, status, jsonType, fmt.Appendf(nil, `{"code":%d,"message":%q}`, code, message))
		return
	}
	body := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	body = protowire.AppendString(protowire.AppendTag(body, 2, protowire.BytesType), message)
	answer(w, status, protobufType, body)
}

func answer(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
