// Package webhook receives what audit webhook backends post.
package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector"
)

// Source is a component that may post, and how it proves to be it.
type Source struct {
	collector.Source
	// TokenSHA256 are the hashes of the bearer tokens that are accepted.
	TokenSHA256 [][32]byte
	// ClientCommonName is accepted in a client certificate; empty for none.
	ClientCommonName string
}

// Registry knows the sources. It keeps them while the API server that they
// were read from is away.
type Registry struct {
	mu      sync.RWMutex
	sources map[string]Source
	traffic map[string]traffic
}

// traffic is what came in a source's name since the process began.
type traffic struct {
	refused   int64
	delivered time.Time // last; until then, when the source became known
	putOff    time.Time // last; zero for never
}

// NewRegistry returns a registry without sources: every request is refused.
func NewRegistry() *Registry {
	return &Registry{sources: map[string]Source{}, traffic: map[string]traffic{}}
}

// Set adds a source or replaces the one of its name. It leaves out that of the
// operator's own records: nobody may deliver for it.
func (r *Registry) Set(s Source) {
	if s.Name == audit.OwnSource {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources[s.Name] = s
	if _, known := r.traffic[s.Name]; !known {
		r.traffic[s.Name] = traffic{delivered: time.Now()}
	}
}

// Has reports whether the source is known exactly so.
func (r *Registry) Has(s Source) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return reflect.DeepEqual(r.sources[s.Name], s)
}

// Delete removes a source.
func (r *Registry) Delete(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sources, name)
	delete(r.traffic, name)
}

// Refused returns how many requests in a source's name were answered with an
// error since the process began.
func (r *Registry) Refused(name string) int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.traffic[name].refused
}

// authenticate returns the named source if the request proves to be from it.
func (r *Registry) authenticate(name string, req *http.Request) (Source, bool) {
	r.mu.RLock()
	s, known := r.sources[name]
	r.mu.RUnlock()
	if known && s.accepts(req) {
		return s, true
	}
	r.countRefused(name)
	return Source{}, false
}

// countRefused counts for known sources alone: other names are endless.
func (r *Registry) countRefused(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, known := r.traffic[name]; known {
		t.refused++
		r.traffic[name] = t
	}
}

// countDelivered notes that a source's delivery was acknowledged just now.
func (r *Registry) countDelivered(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, known := r.traffic[name]; known {
		t.delivered = time.Now()
		r.traffic[name] = t
	}
}

// countPutOff notes that a delivery of the source itself was not taken.
func (r *Registry) countPutOff(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, known := r.traffic[name]; known {
		t.refused++
		t.putOff = time.Now()
		r.traffic[name] = t
	}
}

// PutsOff reports whether the last delivery of a source within a time was put
// off. Requests that do not prove to be the source's say nothing.
func (r *Registry) PutsOff(name string, within time.Duration) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.traffic[name]
	return t.putOff.After(t.delivered) && time.Since(t.putOff) < within
}

func (s *Source) accepts(req *http.Request) bool {
	if s.ClientCommonName != "" && req.TLS != nil && len(req.TLS.VerifiedChains) > 0 &&
		req.TLS.PeerCertificates[0].Subject.CommonName == s.ClientCommonName {
		return true
	}
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = req.Header.Get(firehoseAccessKey) // Firehose has no other way
	}
	if token == "" {
		return false
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	accepted := 0
	for i := range s.TokenSHA256 {
		accepted |= subtle.ConstantTimeCompare(sum[:], s.TokenSHA256[i][:])
	}
	return accepted == 1
}
