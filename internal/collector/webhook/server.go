package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/propagation"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/store"
)

// PathPrefix is followed by the source's name.
const PathPrefix = "/audit/v1/sources/"

const (
	// retryAfter makes client-go try again within the same attempt, before the
	// API server's own slow retries begin. In seconds.
	retryAfter = "3"
	// An API server gives up a request after 30 s.
	requestTimeout = 30 * time.Second
)

// NewHandler serves POST /audit/v1/sources/<name>, and below it /v1/logs for
// OTLP. It answers a 200, empty unless the sender's protocol has an answer, after
// the delivery is durable; 401 to who is no known source, with nothing of the
// body read; 413 to what inflates to too much; 503 with Retry-After where the
// delivery must be sent again.
func NewHandler(registry *Registry, c *collector.Collector, log logr.Logger) http.Handler {
	h := &handler{registry: registry, collector: c, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathPrefix+"{name}", func(w http.ResponseWriter, req *http.Request) {
		if id := req.Header.Get(firehoseRequestID); id != "" {
			h.take(w, req, firehose{id: id})
			return
		}
		h.take(w, req, plain{})
	})
	mux.HandleFunc("POST "+PathPrefix+"{name}/v1/logs", func(w http.ResponseWriter, req *http.Request) {
		h.take(w, req, otlp{protobuf: isProtobuf(req)})
	})
	return mux
}

type handler struct {
	registry  *Registry
	collector *collector.Collector
	log       logr.Logger
}

// take takes a delivery, and answers as its protocol has it.
func (h *handler) take(w http.ResponseWriter, req *http.Request, p protocol) {
	// The server reads what a handler left of a body, to use the
	// connection again; what nobody vouches for is not worth that.
	w.Header().Set("Connection", "close")
	source, ok := h.registry.authenticate(req.PathValue("name"), req)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.refuse(w, http.StatusUnauthorized, "unknown source, or wrong credentials")
		return
	}
	// Whether the body is compressed is seen by its first bytes.
	switch strings.ToLower(req.Header.Get("Content-Encoding")) {
	case "", "identity", "gzip", "x-gzip":
	default:
		h.registry.countRefused(source.Name)
		p.refuse(w, http.StatusUnsupportedMediaType, "Content-Encoding: send the body as it is, or as gzip")
		return
	}
	// An API server that traces names the span that it sends within.
	ctx := propagation.TraceContext{}.Extract(req.Context(), propagation.HeaderCarrier(req.Header))
	appended, err := p.ingest(h.collector)(ctx, source.Source, req.Body)
	if err != nil {
		if isCutOff(err) || errors.Is(err, audit.ErrInflation) {
			h.registry.countRefused(source.Name)
		} else {
			h.registry.countPutOff(source.Name)
		}
		refuse(w, p, h.log.WithValues("source", source.Name), err)
		return
	}
	if appended.Quarantined > 0 {
		h.log.Info("Quarantined items of a delivery", "source", source.Name, "quarantined", appended.Quarantined, "reasons", appended.Reasons)
	}
	h.registry.countDelivered(source.Name)
	w.Header().Del("Connection")
	p.accept(w, appended)
}

// isCutOff reports whether a delivery failed because it did not come to its end.
func isCutOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF)
}

func refuse(w http.ResponseWriter, p protocol, log logr.Logger, err error) {
	switch {
	case errors.Is(err, audit.ErrInflation):
		log.Info("A delivery inflates to too much")
		p.refuse(w, http.StatusRequestEntityTooLarge, audit.ErrInflation.Error()+"; what came before is stored: send smaller parts, or without compression")
		return
	case errors.Is(err, store.ErrOverloaded):
		log.V(1).Info("Put off a delivery, too much is in flight")
	case isCutOff(err):
		log.V(1).Info("A delivery did not come completely")
	default:
		log.Error(err, "Could not take a delivery")
	}
	w.Header().Set("Retry-After", retryAfter)
	p.refuse(w, http.StatusServiceUnavailable, "not stored; send it again")
}

// TLS says how the server proves who it is and whom it believes.
type TLS struct {
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ClientCAs returns who signs the client certificates of sources; it is
	// asked at each handshake.
	ClientCAs func() *x509.CertPool
}

// NewServer returns a server for the handler; serve it with ServeTLS and empty
// file names. It speaks TLS 1.3 and HTTP/1.1 alone: over HTTP/2 an API server
// would keep to one connection, and so to one replica.
func NewServer(handler http.Handler, t TLS, logger logr.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	config := &tls.Config{
		MinVersion:     tls.VersionTLS13,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: t.GetCertificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := config.Clone()
		now.ClientCAs = t.ClientCAs()
		return now, nil
	}
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		TLSConfig:         config,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      2 * requestTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(tlsErrors{logger}, "", 0),
	}
}

// tlsErrors logs what the server says about connections at a level at which a
// port scan does not fill the log.
type tlsErrors struct{ log logr.Logger }

func (t tlsErrors) Write(p []byte) (int, error) {
	t.log.V(1).Info("Connection failed", "detail", string(p))
	return len(p), nil
}
