package httpapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// mostBytes is what docs/spec/api.md says that a page has at most.
const mostBytes = 8 << 20

// However large the events are, a page has no more bytes than it may, and the
// pages together have all of them.
func TestFatPages(t *testing.T) {
	const n = 700
	s := webtest.FatStore(t, n)
	p := programsOver(t, s, s)
	rows, pages := 0, 0
	for next := ""; ; pages++ {
		answer := p.get(t, everywhere, list+"?limit=1000&count=true&cursor="+url.QueryEscape(next))
		got := decode[page](t, answer)
		if len(answer.Body) > mostBytes || len(got.Items) == 0 || *got.Matched != n {
			t.Fatalf("page %d has %d events of %d in %d bytes", pages, len(got.Items), *got.Matched, len(answer.Body))
		}
		rows += len(got.Items)
		if next = got.Next; next == "" {
			break
		}
	}
	if rows != n || pages < 1 {
		t.Errorf("%d pages have %d events, want %d", pages+1, rows, n)
	}
	rows = 0
	for next := ""; ; {
		answer := p.query(t, everywhere, "-", `{"limit":1000,"cursor":"`+next+`"}`)
		got := decode[entries](t, answer)
		if len(answer.Body) > mostBytes || len(got.Entries) == 0 {
			t.Fatalf("a page of Porter's has %d events in %d bytes", len(got.Entries), len(answer.Body))
		}
		rows += len(got.Entries)
		if next = got.NextCursor; next == "" {
			break
		}
	}
	if rows != n {
		t.Errorf("Porter's pages have %d events, want %d", rows, n)
	}
	// A page by its number has all of its entries, or is refused.
	if errs := wantProblem(t, p.query(t, everywhere, "-", `{"limit":1000,"page":1}`), 400, "invalid").Errors; len(errs) != 1 || errs[0].Parameter != "limit" {
		t.Errorf("a page that is too large: %+v", errs)
	}
	if got := decode[entries](t, p.query(t, everywhere, "-", `{"limit":10,"page":3}`)); len(got.Entries) != 10 {
		t.Errorf("the third page has %d entries", len(got.Entries))
	}
	for _, dimension := range query.Dimensions {
		if answer := p.get(t, everywhere, list+"/facets/"+string(dimension)+"?limit=500"); answer.Status != 200 || len(answer.Body) > mostBytes {
			t.Errorf("the values of %s: status %d, %d bytes", dimension, answer.Status, len(answer.Body))
		}
	}
	for _, format := range []string{"csv", "ndjson"} {
		answer := p.get(t, everywhere, "/api/v1/export?format="+format)
		if answer.Status != 200 || strings.Count(answer.Body, "\n") < n {
			t.Errorf("an export as %s: status %d, %d lines", format, answer.Status, strings.Count(answer.Body, "\n"))
		}
	}
}
