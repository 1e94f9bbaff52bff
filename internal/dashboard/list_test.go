package dashboard_test

import (
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

func keysOf(t *testing.T, b *webtest.Browser, query string) []string {
	t.Helper()
	got := b.Get(t, "/security/audit-logs"+query)
	if got.Status != http.StatusOK {
		t.Fatalf("%s: status %d", query, got.Status)
	}
	keys := shown(got.Body)
	slices.Sort(keys)
	if count := fmt.Sprintf("<strong>%d</strong>", len(keys)); !strings.Contains(got.Body, count) {
		t.Errorf("%s shows %d events and another count", query, len(keys))
	}
	return keys
}

func TestListReadsTheFilter(t *testing.T) {
	b := world.As(t, everywhere)
	all := []string{"billing", "cluster", "foreign", "hostile", "shop-app", "shop-env", "shop-project"}
	for query, want := range map[string][]string{
		"": all,
		"?resource_type=application&resource_type=environment_group": {"billing", "foreign", "shop-app", "shop-env"},
		"?resource_type_exclude=application&namespace=shop":          {"shop-env", "shop-project"},
		"?cluster=elsewhere": {"foreign"},
		"?search=OWN-SHOP":   {"shop-app", "shop-env", "shop-project"},
		"?actor=bob":         nil,
		"?method=post&status_code=2xx&ip=192.0.2.0%2F24&client=cli&stage=ResponseComplete&dry_run=false&range=last_hour": all,
	} {
		if diff := cmp.Diff(want, keysOf(t, b, query)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestListRefusesWhatItCannotRead(t *testing.T) {
	b := world.As(t, everywhere)
	for query, want := range map[string]string{
		"?colour=red":                          "colour: is no filter",
		"?method=FETCH":                        "method: &#34;FETCH&#34;",
		"?status_code=6xx":                     "status_code",
		"?ip=300.1.1.1":                        "ip",
		"?from=2026-01-02T00:00:00Z&range=90d": "range",
		"?cursor=garbage":                      "cursor",
		"?cursor=a&cursor=b":                   "cursor: may be given once",
		"?actor=%zz":                           "not written as URLs are",
		"?actor=a;actor=b":                     "not written as URLs are",
		"?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "before to",
	} {
		got := b.Get(t, "/security/audit-logs"+query)
		if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, want) {
			t.Errorf("%s: status %d, without %q", query, got.Status, want)
		}
		if keys := shown(got.Body); len(keys) > 0 {
			t.Errorf("%s shows %v", query, keys)
		}
	}
}

func TestPickerOffersEveryType(t *testing.T) {
	b := world.As(t, everywhere)
	page := b.Get(t, "/security/audit-logs?resource_type=application&resource_type=gone_type").Body
	types := audit.BuiltInResourceTypes()
	if len(types) != 6 {
		t.Fatalf("%d built-in types", len(types))
	}
	for _, rt := range types {
		checked := ""
		if rt.Name == "application" {
			checked = " checked"
		}
		want := fmt.Sprintf(`name="resource_type" value="%s"%s>`, rt.Name, checked)
		if !strings.Contains(page, want) || !strings.Contains(page, html.EscapeString(rt.Description)) {
			t.Errorf("the picker lacks %s and its description", want)
		}
	}
	// A type whose definition is gone stays in the filter until it is unchecked.
	if !strings.Contains(page, `name="resource_type" value="gone_type" checked>`) {
		t.Error("the picker drops a value of the URL")
	}
}

var nextPage = regexp.MustCompile(`href="([^"]+)" rel="next"`)

func TestPagesShowEveryEventOnce(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	want := map[string]bool{}
	for i := range 123 {
		// Many at the same time: the order must not depend on it alone.
		e := audit.Event{Source: "s", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, OccurredAt: at.Add(time.Duration(i/40) * time.Second), ResourceType: "application", Method: "GET", Raw: []byte("{}")}
		e.StageAt = e.OccurredAt
		_, _ = rand.Read(e.ID[:])
		want[e.ID.String()] = true
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	b := world.As(t, everywhere)
	server := httptest.NewServer(world.Handler(t, s, false))
	defer server.Close()
	b.Base = server.URL
	b.Login(t, world.Tokens[everywhere], "")

	link := regexp.MustCompile(`[?&;]event=([0-9a-f]{32})`)
	got := map[string]bool{}
	path, pages := "/security/audit-logs?resource_type=application", 0
	for path != "" {
		page := b.Get(t, path)
		pages++
		for _, m := range link.FindAllStringSubmatch(page.Body, -1) {
			if got[m[1]] {
				t.Errorf("page %d repeats %s", pages, m[1])
			}
			got[m[1]] = true
		}
		if !strings.Contains(page.Body, "<strong>123</strong>") {
			t.Errorf("page %d does not say that 123 events match", pages)
		}
		path = ""
		if m := nextPage.FindStringSubmatch(page.Body); m != nil {
			path = html.UnescapeString(m[1])
		}
		// A cursor is of its filter.
		if pages == 1 {
			address, _ := url.Parse(path)
			values := address.Query()
			values.Set("method", "GET")
			if got := b.Get(t, "/security/audit-logs?"+values.Encode()); got.Status != http.StatusBadRequest {
				t.Errorf("another filter's cursor: status %d", got.Status)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages: %s", pages, diff)
	}
}

// Texts of events come from clients; they may be anything.
func TestHostileTexts(t *testing.T) {
	b := world.As(t, everywhere)
	id := world.Events["hostile"].ID.String()
	for _, path := range []string{
		"/security/audit-logs?namespace=hostile", "/security/audit-logs/events/" + id,
		"/security/audit-logs?actor=" + url.QueryEscape(webtest.Hostile), "/security/audit-logs?" + url.QueryEscape(webtest.Hostile) + "=x",
		"/security/audit-logs?search=" + url.QueryEscape(webtest.Hostile), "/login?next=" + url.QueryEscape("/security/"+webtest.Hostile),
	} {
		if got := b.Get(t, path); strings.Contains(got.Body, "<script>") {
			t.Errorf("%s: a client's text became markup", path)
		}
	}
	if page := b.Get(t, "/security/audit-logs?namespace=hostile"); !strings.Contains(page.Body, "&lt;script&gt;") {
		t.Error("the list does not show the text")
	}
}

func TestOneEvent(t *testing.T) {
	b := world.As(t, everywhere)
	e := world.Events["shop-app"]
	page := b.Get(t, "/security/audit-logs/events/"+e.ID.String())
	for _, want := range []string{"own-shop-app", "application.create", "192.0.2.7", "/path-of-shop-app", "201 Created", "secretOf", e.OccurredAt.Format(time.RFC3339Nano)} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, wrong := range []string{"namespace=%zz", "namespace=shop;x", "rage=1"} {
		if got := b.Get(t, "/security/audit-logs/events/"+e.ID.String()+"?"+wrong); got.Status != http.StatusBadRequest || strings.Contains(got.Body, "own-shop-app") {
			t.Errorf("%s: status %d", wrong, got.Status)
		}
	}
	for _, id := range []string{"x", strings.ToUpper(e.ID.String()), strings.Repeat("0", 31)} {
		if got := b.Get(t, "/security/audit-logs/events/"+id); got.Status != http.StatusNotFound {
			t.Errorf("event %s: status %d", id, got.Status)
		}
	}
}

// A form sends all of its fields. Its address becomes one to share.
func TestFormsAddress(t *testing.T) {
	b := world.As(t, everywhere)
	got := b.Get(t, "/security/audit-logs?resource_type=application&range=&search=&actor=&actor=&from=&dry_run=")
	if want := "/security/audit-logs?resource_type=application"; got.Status != http.StatusSeeOther || got.Header.Get("Location") != want {
		t.Errorf("status %d to %q, want 303 to %q", got.Status, got.Header.Get("Location"), want)
	}
	got = b.Get(t, "/security/audit-logs?resource_type=&range=")
	if want := "/security/audit-logs"; got.Status != http.StatusSeeOther || got.Header.Get("Location") != want {
		t.Errorf("status %d to %q, want 303 to %q", got.Status, got.Header.Get("Location"), want)
	}
}

// The share URL of the resource's example opens with exactly its filter.
func TestShareURLOpens(t *testing.T) {
	f := query.Filter{Terms: query.Terms{ResourceTypes: []string{"application", "environment_group"}}}
	b := world.As(t, everywhere)
	address, err := url.Parse(query.ShareURL(b.Base, f))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"billing", "foreign", "shop-app", "shop-env"}, keysOf(t, b, "?"+address.RawQuery)); diff != "" {
		t.Error(diff)
	}
}
