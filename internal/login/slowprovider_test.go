package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// A provider that has become slow keeps nobody waiting for news of itself: what
// is known stays in use, and one question at a time is asked.
func TestSlowProvider(t *testing.T) {
	var slow atomic.Bool
	var asked atomic.Int64
	release := make(chan struct{})
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if slow.Load() {
			select {
			case <-release:
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":"%[2]s/auth?%d","token_endpoint":"%[2]s/token","jwks_uri":"%[2]s/keys"}`, server.URL, server.URL, asked.Load())
	}))
	defer server.Close()
	now := time.Now()
	var ahead atomic.Int64
	p := newProvider(OIDCOptions{IssuerURL: server.URL, ClientID: "audit"}, func() time.Time { return now.Add(time.Duration(ahead.Load())) }, logr.Discard())

	// With nothing known, who waits may leave, and the next finds what was asked for.
	slow.Store(true)
	leaving, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.ask(leaving); !errors.Is(err, context.Canceled) {
		t.Fatalf("who leaves is told %v", err)
	}
	release <- struct{}{} // to the question that waits
	slow.Store(false)
	first, err := p.ask(t.Context())
	if err != nil || asked.Load() != 1 {
		t.Fatalf("%v, asked %d times", err, asked.Load())
	}
	slow.Store(true)
	ahead.Store(int64(2 * metadataLast))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), providerTimeout/2)
		got, err := p.ask(ctx)
		cancel()
		if err != nil || got != first {
			t.Fatalf("while the provider is slow: %v, %v", got, err)
		}
	}
	release <- struct{}{} // to the question that waits
	slow.Store(false)
	for deadline := time.Now().Add(20 * time.Second); ; {
		got, err := p.ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got != first {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing new is learnt")
		}
	}
	if asked.Load() != 2 {
		t.Errorf("the provider was asked %d times", asked.Load())
	}
}
