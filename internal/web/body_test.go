package web

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// A question that takes longer to answer than its body may to arrive is
// answered; its context does not end.
func TestBodiesBoundNoAnswers(t *testing.T) {
	const timeout = 50 * time.Millisecond
	server := httptest.NewServer(bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/unread" {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Errorf("the body: %v", err)
			}
		}
		select {
		case <-time.After(6 * timeout):
			_, _ = io.WriteString(w, "answered") // the client says what came
		case <-r.Context().Done(): // as for a client that is gone: nothing is written, which looks like an empty 200
		}
	}), timeout))
	defer server.Close()
	for _, tt := range []struct{ method, path, body string }{
		{http.MethodPost, "/", "a=b"}, {http.MethodPost, "/", strings.Repeat("x", 100<<10)}, {http.MethodPost, "/unread", "a=b"}, {http.MethodPost, "/", ""}, {http.MethodGet, "/unread", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second by the same connection
			if r.Body, err = r.GetBody(); err != nil {
				t.Fatal(err)
			}
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || string(got) != "answered" {
				t.Errorf("%s %s of %d bytes: status %d, %q, %v", tt.method, tt.path, len(tt.body), resp.StatusCode, got, err)
			}
		}
	}
}

// A body that never ends is given up.
func TestBodiesEnd(t *testing.T) {
	failed := make(chan error, 1)
	server := httptest.NewServer(bodies(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
		w.WriteHeader(http.StatusBadRequest)
	}), 50*time.Millisecond))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the body ends with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the body is still waited for")
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
}
