package web_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// tailed asks what is new since before there was anything, from a position
// that the caller with every right was given.
func tailed(s *selection, h *holdings) (request, bool) {
	req, _ := at(logs+"/tail", "after", h.begin)(s, h)
	req.header = http.Header{"Hx-Request": {"true"}}
	return req, true
}

var (
	tailNext = regexp.MustCompile(`<table data-next="([^"]+)"[^>]* data-more>`)
	tailFrom = regexp.MustCompile(`after=[^&]+`)
)

// tailedOn asks for what came after a full answer.
func tailedOn(req request, got webtest.Answer) (request, bool) {
	next := tailNext.FindStringSubmatch(got.Body)
	if next == nil {
		return request{}, false
	}
	req.path = tailFrom.ReplaceAllLiteralString(req.path, "after="+url.QueryEscape(html.UnescapeString(next[1])))
	return req, true
}

// named asks about namespaces alone.
func named(path string) func(*selection, *holdings) (request, bool) {
	return func(s *selection, h *holdings) (request, bool) {
		req, _ := at(path)(s, h)
		return req, len(s.without)+len(s.clusters) == 0
	}
}

// porter asks about a project: one namespace, or the whole cluster.
func porter(what, body string) func(*selection, *holdings) (request, bool) {
	return func(s *selection, _ *holdings) (request, bool) {
		if len(s.named) != 1 || len(s.without)+len(s.clusters) > 0 {
			return request{}, false
		}
		return request{method: http.MethodPost, path: "/api/v2/projects/" + url.PathEscape(s.named[0]) + "/api-audit-logs/" + what, body: body}, true
	}
}

func inProject(s *selection, r *realm) bool {
	return s.named[0] == query.NoNamespace || s.matches(r, "")
}

// checkFile expects each event once.
func checkFile(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
	t.Helper()
	for _, r := range realms {
		want := 0
		if slices.Contains(seen, r) {
			want = r.n
		}
		if n := strings.Count(got.Body, "/path/"+r.mark+"/common"); n != want {
			t.Errorf("%d rows of %s, want %d", n, r.mark, want)
		}
	}
}

func checkTail(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
	t.Helper()
	rows := 0
	for _, r := range seen {
		if !strings.Contains(got.Body, r.mark) {
			t.Errorf("nothing of %s is shown", r.mark)
		}
		rows += r.n
	}
	if n := strings.Count(got.Body, "<tr"); n != rows {
		t.Errorf("%d rows, want %d", n, rows)
	}
}

// checkSnapshots expects the list of those that the caller may read.
func checkSnapshots(t *testing.T, got webtest.Answer, seen []*realm, h *holdings) {
	t.Helper()
	for _, s := range h.snapshots {
		of := s.realm
		if of == nil {
			of = nowhere
		}
		if shown := strings.Contains(got.Body, s.ID); shown != slices.Contains(seen, of) {
			t.Errorf("the snapshot of %s is shown: %t", of.mark, shown)
		}
	}
}

func moreListings() []*listing {
	all := []*listing{
		{name: "snapshots by the API", rights: true, request: named("/api/v1/snapshots"), check: checkSnapshots},
		{name: "Porter's query", request: porter("query", `{"limit":1000}`), matches: inProject, check: checkItems(0, 1000)},
		{name: "tail", page: true, request: tailed, more: tailedOn, check: checkTail},
		{name: "save as a query", page: true, refuses: true, request: at(logs + "/query")},
		{name: "snapshots", page: true, rights: true, request: named("/security/snapshots"), check: checkSnapshots},
		{name: "the list as CSV", page: true, request: at(logs + "/csv"), check: checkFile},
		{name: "the list as NDJSON", page: true, request: at(logs + "/ndjson"), check: checkFile},
		{name: "CSV", request: at("/api/v1/export"), check: checkFile},
		{name: "NDJSON", request: at("/api/v1/export", "format", "ndjson"), check: checkFile},
		{name: "NDJSON with raw", request: at("/api/v1/export", "format", "ndjson", "raw", "true"), check: checkFile},
		{name: "Porter's export", request: porter("export", `{"format":"csv"}`), matches: inProject, check: checkFile},
	}
	for _, d := range query.Dimensions {
		door := &listing{name: "values of " + string(d), page: true, counted: d, request: at(logs + "/values/" + string(d))}
		switch d {
		case query.ByNamespace: // of all that the caller may read
			door.wide = true
		case query.ByResourceType, query.ByActor, query.ByAction, query.ByResourceName, query.ByResource, query.ByGroup, query.ByUserAgent:
			door.check = func(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
				t.Helper()
				checkMarks(t, got, seen)
			}
		}
		all = append(all, door)
	}
	return all
}

func moreItems() []*item {
	return []*item{
		{name: "snapshot by the API", snapshot: true, request: itemAt("/api/v1/snapshots/", "")},
		{name: "records of a snapshot", snapshot: true, request: itemAt("/api/v1/snapshots/", "/records")},
	}
}
