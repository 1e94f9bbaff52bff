package dashboard_test

import (
	"crypto/rand"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// mostHTML is what docs/spec/api.md says that a page has at most.
const mostHTML = 2 << 20

var (
	fatNext  = regexp.MustCompile(`<a class="button" href="([^"]*)" rel="next">`)
	eventRow = regexp.MustCompile(`<tr role="row">\n<td role="cell" class="when"><a href="([^"]*)" class="open">`)
)

// However large events are, and however long a filter is, a page has no more
// bytes than it may, and the pages together have every event.
func TestFatPages(t *testing.T) {
	const n = 120
	b := world.NewBrowserOver(t, webtest.FatStore(t, n))
	b.Login(t, world.Tokens[everywhere], "/")
	rows := 0
	for path := "/security/audit-logs"; path != ""; {
		page := b.Get(t, path)
		if page.Status != 200 || len(page.Body) > mostHTML {
			t.Fatalf("%s: status %d, %d bytes", path, page.Status, len(page.Body))
		}
		found := eventRow.FindAllStringSubmatch(page.Body, -1)
		if len(found) == 0 {
			t.Fatalf("%s has no rows", path)
		}
		if rows == 0 {
			event := html.UnescapeString(found[0][1])
			for _, path := range []string{event, strings.Replace(event, "?event=", "/events/", 1)} {
				if page := b.Get(t, path); page.Status != 200 || len(page.Body) > mostHTML {
					t.Errorf("%s: status %d, %d bytes", path, page.Status, len(page.Body))
				}
			}
		}
		rows += len(found)
		path = ""
		if next := fatNext.FindStringSubmatch(page.Body); next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	if rows != n {
		t.Errorf("the pages have %d events, want %d", rows, n)
	}
	long := url.Values{}
	for _, field := range []string{"actor", "actor_exclude", "resource_name", "resource_name_exclude", "action_exclude"} {
		for i := range 100 {
			long.Add(field, fmt.Sprint("application.get", i, "*"))
		}
	}
	long.Del("resource_name")
	if page := b.Get(t, "/security/audit-logs?"+long.Encode()); page.Status != 200 || len(page.Body) > mostHTML {
		t.Errorf("a filter of %d bytes: status %d, %d bytes", len(long.Encode()), page.Status, len(page.Body))
	}
	for i := range 100 {
		long.Add("resource_name", strings.Repeat("x", 200)+fmt.Sprint(i))
	}
	if page := b.Get(t, "/security/audit-logs?"+long.Encode()); page.Status != 414 || !strings.Contains(page.Body, "too long for a page") {
		t.Errorf("a filter of %d bytes: status %d", len(long.Encode()), page.Status)
	}
	for _, dimension := range query.Dimensions {
		page := b.Get(t, "/security/audit-logs/values/"+string(dimension)+"?actor_exclude="+strings.Repeat("x", 250))
		if page.Status != 200 || len(page.Body) > mostHTML {
			t.Errorf("the values of %s: status %d, %d bytes", dimension, page.Status, len(page.Body))
		}
	}
}

// Answers of the tail fit too, and together have every event.
func TestFatTail(t *testing.T) {
	const n = 100
	s := embeddedtest.Open(t, embedded.Options{})
	b := world.NewBrowserOver(t, s)
	b.Login(t, world.Tokens[everywhere], "/")
	next := func(after string) webtest.Answer {
		page := b.Get(t, "/security/audit-logs/tail?range=last_hour&after="+url.QueryEscape(after))
		if page.Status != 200 || len(page.Body) > mostHTML {
			t.Fatalf("status %d, %d bytes", page.Status, len(page.Body))
		}
		return page
	}
	answer := b.Get(t, "/security/audit-logs/tail?range=last_hour")
	webtest.AppendFat(t, s, n)
	rows := 0
	for more := true; more; {
		answer = next(html.UnescapeString(tailNext.FindStringSubmatch(answer.Body)[1]))
		found := len(eventRow.FindAllString(answer.Body, -1))
		rows += found
		more = found > 0
	}
	if rows != n {
		t.Errorf("the tail has %d events, want %d", rows, n)
	}
}

// A page of usual rows with a usual filter lacks nothing: each row opens beside
// the list, each bar and each chip is a link.
func TestUsualPageIsWhole(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for i := range 120 {
		e := someEvent(time.Duration(i) * time.Minute)
		_, _ = rand.Read(e.ID[:])
		e.Raw, e.Namespace, e.ResourceName = []byte("{}"), strings.Repeat("n", 63), strings.Repeat("r", 253)
		e.Path = "/apis/apps/v1/namespaces/" + e.Namespace + "/deployments/" + e.ResourceName + "?labelSelector=" + strings.Repeat("x", 500)
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	b := world.NewBrowserOver(t, s)
	b.Login(t, world.Tokens[everywhere], "/")
	filter := url.Values{"range": {"last_24_hours"}, "method": {"GET", "POST", "PUT", "PATCH", "DELETE"}, "status_code_exclude": {"404", "409", "5xx"}}
	for i := range 20 {
		filter.Add("actor_exclude", fmt.Sprint("system:serviceaccount:kube-system:controller-", i))
	}
	page := b.Get(t, "/security/audit-logs?"+filter.Encode()).Body
	rows := eventRow.FindAllStringSubmatch(page, -1)
	if len(rows) != 50 || fatNext.FindString(page) == "" {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(row[1], "event=") {
			t.Fatalf("a row's link is %s", row[1])
		}
	}
	for _, whole := range []string{batch.Events[0].ResourceName, batch.Events[0].Namespace, html.EscapeString(batch.Events[0].Path)} {
		if strings.Count(page, whole) < 50 {
			t.Errorf("not every row has %s", whole)
		}
	}
	if bars := strings.Count(page, `class="bar"`); bars < 5 || strings.Contains(page, "<a><title>") {
		t.Errorf("of %d bars some are no links", bars)
	}
	if links := strings.Count(chipPart.FindString(page), "<a "); links < 5+3+20 {
		t.Errorf("the chips have %d links", links)
	}
}
