package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Where browsers come by HTTPS, every answer tells them to keep to it, an error
// too, and speaks of no other host; elsewhere none does.
func TestHTTPS(t *testing.T) {
	for _, secure := range []bool{true, false} {
		h := world.Handler(t, world.Store, secure)
		for _, path := range []string{"/login", "/security/audit-logs", "/assets/none", "/api/v1/audit-logs", "/api/v1/none"} {
			got := httptest.NewRecorder()
			h.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			want := ""
			if secure {
				want = "max-age=31536000"
			}
			if sent := got.Header().Get("Strict-Transport-Security"); sent != want {
				t.Errorf("by HTTPS %t, %s is answered with Strict-Transport-Security %q, want %q", secure, path, sent, want)
			}
		}
	}
}

// A cursor that nobody gave is the caller's mistake, whatever times it names,
// and so is no other time.
func TestFarTimes(t *testing.T) {
	b := world.As(t, webtest.InShop)
	now := time.Now().Truncate(time.Microsecond)
	cursor := func(from, to time.Time) string {
		c := query.Cursor{Position: query.Position{OccurredAt: now}, Window: query.Window{From: from, To: to}, FilterHash: query.Filter{}.Hash()}
		return "?" + url.Values{"cursor": {c.Encode()}}.Encode()
	}
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, tc := range map[string]struct {
		parameters string
		want       int
	}{
		"all":        {cursor(first, last), http.StatusOK},
		"year 10000": {cursor(first, last.Add(time.Second)), http.StatusBadRequest},
		"the end":    {cursor(now, time.UnixMicro(1<<63-1)), http.StatusBadRequest},
		"negative":   {cursor(time.UnixMicro(-1<<63), last), http.StatusBadRequest},
		"by range":   {"?from=1970-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", http.StatusOK},
		"too far":    {"?from=1970-01-01T00:00:00Z&to=10000-01-01T00:00:00Z", http.StatusBadRequest},
	} {
		for _, path := range []string{"/security/audit-logs", "/api/v1/audit-logs"} {
			if got := b.Do(t, http.MethodGet, path+tc.parameters, nil, nil); got.Status != tc.want {
				t.Errorf("%s: %s answers %d, want %d", name, path, got.Status, tc.want)
			}
		}
	}
}
