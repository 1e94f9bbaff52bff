package web_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Pages and JSON are compressed for who takes it, but not for what another site
// has a browser send without a click; files never are.
func TestCompression(t *testing.T) {
	b := world.As(t, webtest.Everywhere)
	for path, compressible := range map[string]bool{
		"/security/audit-logs": true, "/api/v1/audit-logs": true, "/security/snapshots": true,
		"/security/audit-logs/csv": false, "/security/audit-logs/ndjson": false, "/api/v1/export": false, "/api/v1/export?format=ndjson": false, "/security/snapshots/" + world.Snapshots["shop"].ID + "/ndjson": false,
	} {
		plain := b.Do(t, http.MethodGet, path, nil, http.Header{"Accept-Encoding": {"identity"}})
		for _, tt := range []struct {
			name   string
			header http.Header
			zipped bool
		}{
			{"asked for", http.Header{"Accept-Encoding": {"gzip, br"}}, true},
			{"from here", http.Header{"Accept-Encoding": {"gzip, br"}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Dest": {"empty"}}, true},
			{"refused", http.Header{"Accept-Encoding": {"gzip;q=0, br"}}, false},
			{"by a click elsewhere", http.Header{"Accept-Encoding": {"gzip"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-User": {"?1"}}, true},
			{"by a script elsewhere", http.Header{"Accept-Encoding": {"gzip"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Dest": {"document"}}, false},
			{"in a frame elsewhere", http.Header{"Accept-Encoding": {"gzip"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Dest": {"iframe"}, "Sec-Fetch-User": {"?1"}}, false},
			{"by a neighbour", http.Header{"Accept-Encoding": {"gzip"}, "Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Dest": {"image"}}, false},
		} {
			if site := tt.header.Get("Sec-Fetch-Site"); !compressible && site != "" && site != "same-origin" {
				continue // refused, with a page
			}
			got := b.Do(t, http.MethodGet, path, nil, tt.header)
			zipped := got.Header.Get("Content-Encoding") == "gzip"
			if want := tt.zipped && compressible; zipped != want {
				t.Errorf("%s, %s: compressed %t, want %t", path, tt.name, zipped, want)
			}
			if vary := strings.Join(got.Header["Vary"], ", "); !strings.Contains(vary, "Accept-Encoding") {
				t.Errorf("%s, %s: Vary is %q", path, tt.name, vary)
			}
			if !zipped {
				continue
			}
			r, err := gzip.NewReader(strings.NewReader(got.Body))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			if err != nil || len(body)+1000 < len(plain.Body) || !bytes.HasPrefix(body, []byte(plain.Body[:15])) || len(got.Body) > len(body)/2+256 {
				t.Errorf("%s, %s: %d bytes unfold to %d of %d, %v", path, tt.name, len(got.Body), len(body), len(plain.Body), err)
			}
		}
	}
}

// paused is a store whose first page of a list says that there is another,
// which a test keeps back.
type paused struct {
	dashboard.Store
	next chan struct{}
}

func (p paused) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	if req.After != nil {
		select {
		case <-p.next:
		case <-ctx.Done():
			return store.View{}, ctx.Err()
		}
		return p.Store.View(ctx, scope, req)
	}
	req.Limit = 2
	return p.Store.View(ctx, scope, req)
}

// The rows of an export arrive as they are written, whatever the client takes.
func TestExportsFlow(t *testing.T) {
	s := paused{world.Store, make(chan struct{})}
	server := httptest.NewServer(world.HandlerWith(t, s, func(*login.Options) {}))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + world.Tokens[webtest.Everywhere]}, "Accept-Encoding": {"gzip, br"}}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 3 { // the columns and two events
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
	}
	close(s.next)
	rest, err := io.ReadAll(lines)
	if err != nil || bytes.Count(rest, []byte("\n")) < 3 {
		t.Errorf("then came %q, %v", rest, err)
	}
}
