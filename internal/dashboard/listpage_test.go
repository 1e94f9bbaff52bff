package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

const listPath = "/security/audit-logs"

var asScript = http.Header{"Hx-Request": {"true"}}

var (
	chipPart = regexp.MustCompile(`(?s)<nav class="chips".*?</nav>`)
	chipItem = regexp.MustCompile(`(?s)<li class="chip">.*?</li>`)
	linkTo   = regexp.MustCompile(`href="([^"]*)"`)
	tag      = regexp.MustCompile(`<[^>]*>`)
	barTitle = regexp.MustCompile(`: ([0-9,]+)</title>`)
)

func textOf(markup string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(markup, ""))), " ")
}

func TestChipsNameTheFilterAndRemoveItsParts(t *testing.T) {
	b := world.As(t, everywhere)
	const from, to = "2026-01-02T03%3A04%3A05Z", "2026-01-02T04%3A00%3A00Z"
	page := b.Get(t, listPath+"?resource_type=application&method=POST&method=PATCH&method_exclude=GET&ip=10.0.0.0%2F8&search=shop&dry_run=false&from="+from+"&to="+to).Body
	type chip struct {
		Text  string
		Links []string
	}
	var got []chip
	for _, item := range chipItem.FindAllString(chipPart.FindString(page), -1) {
		c := chip{Text: textOf(item)}
		for _, m := range linkTo.FindAllStringSubmatch(item, -1) {
			c.Links = append(c.Links, strings.TrimPrefix(html.UnescapeString(m[1]), listPath+"?"))
		}
		got = append(got, c)
	}
	const types, methods, ip = "resource_type=application&", "method=POST&method=PATCH&method_exclude=GET&", "ip=10.0.0.0%2F8&"
	const rest = "search=shop&dry_run=false&from=" + from + "&to=" + to
	want := []chip{
		{"Resource type is any of Remove Application ×", []string{methods + ip + rest}},
		{"Method is any of POST × PATCH × ×", []string{types + "method=PATCH&method_exclude=GET&" + ip + rest, types + "method=POST&method_exclude=GET&" + ip + rest, types + "method_exclude=GET&" + ip + rest}},
		{"Method excludes Remove GET ×", []string{types + "method=POST&method=PATCH&" + ip + rest}},
		{"IP address is any of Remove 10.0.0.0/8 ×", []string{types + methods + rest}},
		{"Search contains Remove shop ×", []string{types + methods + ip + "dry_run=false&from=" + from + "&to=" + to}},
		{"Dry run is Remove no dry runs ×", []string{types + methods + ip + "search=shop&from=" + from + "&to=" + to}},
		{"Date range is Remove 2026-01-02 03:04:05 to 2026-01-02 04:00:00 ×", []string{types + methods + ip + "search=shop&dry_run=false"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(page, `class="clear" href="`+listPath+`"`) {
		t.Error("Clear all leads elsewhere than to the unfiltered list")
	}
}

func TestChartCountAndTableAgree(t *testing.T) {
	b := world.As(t, everywhere)
	for _, q := range []string{"", "?range=last_hour", "?range=36500d", "?resource_type=application", "?search=own-shop", "?actor=nobody-at-all"} {
		page := b.Get(t, listPath+q).Body
		sum := 0
		for _, m := range barTitle.FindAllStringSubmatch(page, -1) {
			n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		rows := strings.Count(page, `class="open"`)
		if !strings.Contains(page, "<strong>"+strconv.Itoa(rows)+"</strong>") || sum != rows {
			t.Errorf("%s: %d rows, %d in the chart, and the count differs or they do", q, rows, sum)
		}
	}
}

// The form says by one field which of its fields for the time counts.
func TestFormsTime(t *testing.T) {
	b := world.As(t, everywhere)
	for query, want := range map[string]string{
		"?time=last_hour&from=2026-01-01T00:00&to=&search=":                "?range=last_hour",
		"?time=last_7_days&range=last_hour":                                "",
		"?time=custom&from=2026-01-01T00:00&to=2026-01-02T00:00:01":        "?from=2026-01-01T00%3A00%3A00Z&to=2026-01-02T00%3A00%3A01Z",
		"?time=custom&from=&to=&method=get&live=1":                         "?method=GET&live=1",
		"?time=90d&actor=a&actor=&actor_exclude=b&actor_exclude=&dry_run=": "?actor=a&actor_exclude=b&range=90d",
	} {
		got := b.Get(t, listPath+query)
		if got.Status != http.StatusSeeOther || got.Header.Get("Location") != listPath+want {
			t.Errorf("%s: %d to %q, want %q", query, got.Status, got.Header.Get("Location"), listPath+want)
		}
		// A script needs no second request: it learns the address with the answer.
		got = b.Do(t, http.MethodGet, listPath+query, nil, asScript)
		if got.Status != http.StatusOK || got.Header.Get("HX-Push-Url") != listPath+want {
			t.Errorf("%s by a script: %d and %q", query, got.Status, got.Header.Get("HX-Push-Url"))
		}
	}
	for _, query := range []string{"?time=yesterday", "?time=custom&to=2026-01-01T00:00", "?time=last_hour&time=custom", "?live=yes", "?event=a&event=b"} {
		if got := b.Get(t, listPath+query); got.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.Status)
		}
	}
	if got := b.Do(t, http.MethodGet, listPath+"?method=GET", nil, asScript); got.Header.Get("HX-Push-Url") != "" {
		t.Error("an address that is canonical is pushed again")
	}
}

var valueRow = regexp.MustCompile(`(?s)<div class="row">.*?</div>`)

// rowsOf returns the values that a menu loads: what is written, and whether a
// value is included (+) or excluded (-).
func rowsOf(t *testing.T, b *webtest.Browser, path string) []string {
	t.Helper()
	got := b.Do(t, http.MethodGet, listPath+"/values/"+path, nil, asScript)
	if got.Status != http.StatusOK || strings.Contains(got.Body, "<html") {
		t.Fatalf("%s: status %d, or a whole page", path, got.Status)
	}
	var out []string
	for _, row := range valueRow.FindAllString(got.Body, -1) {
		in, rest, _ := strings.Cut(row, "</label>")
		count, ex, _ := strings.Cut(rest, "<label")
		text := strings.Join(strings.Fields(textOf(in)+" "+textOf(count)), " ")
		if strings.Contains(in, " checked") {
			text = "+" + text
		}
		if strings.Contains(ex, " checked") {
			text = "-" + text
		}
		out = append(out, text)
	}
	return out
}

func TestMenusOfferTheLogsValues(t *testing.T) {
	b := world.As(t, everywhere)
	for path, want := range map[string][]string{
		"actor": {"alice 7"},
		"actor?actor=bob&actor_exclude=eve&search=": {"+bob 0", "-eve 0", "alice 7"},
		"actor?contains=AL":                         {"ALAs typed", "AL*Everything that begins so", "alice 7"},
		"actor?contains=zz":                         {"zzAs typed", "zz*Everything that begins so"},
		"ip?contains=10.0.0.0/8":                    {"10.0.0.0/8As typed"},
		"ip?contains=192":                           {"192.0.2.7 7"},
		"status_code":                               {"2xxSuccess 7", "3xxRedirection 0", "4xxRefused or wrong 0", "5xxFailed on the server 0", "201 7"},
		"status_code?contains=20":                   {"201 7"},
		"namespace":                                 {"shop 4", "billing 1", "hostile 1"},
		"cluster?resource_type=application&time=last_hour&from=2026-01-01T00:00": {"own 2", "elsewhere 1"},
		"action?action=application.*&contains=env":                               {"+application.*", "envAs typed", "env*Everything that begins so", "*.envOf every resource type", "environment_group.create 1"},
	} {
		if diff := cmp.Diff(want, rowsOf(t, b, path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if got := b.Do(t, http.MethodGet, listPath+"/values/ip?contains=999.1", nil, asScript).Body; !strings.Contains(got, "is no address and no CIDR range") {
		t.Error("nothing says why what was typed can't be chosen")
	}
	types := strings.Join(rowsOf(t, b, "resource_type"), "\n")
	for _, want := range []string{"Application", "backups. 0", "machines. 3"} {
		if !strings.Contains(types, want) {
			t.Errorf("the types lack %q: %s", want, types)
		}
	}
	for path, want := range map[string]int{"colour": http.StatusNotFound, "actor?colour=red": http.StatusBadRequest, "actor?contains=a&contains=b": http.StatusBadRequest, "actor?contains=" + strings.Repeat("x", 257): http.StatusBadRequest} {
		if got := b.Get(t, listPath+"/values/"+path); got.Status != want {
			t.Errorf("%s: %d, want %d", path, got.Status, want)
		}
	}
}

// Menus count within the caller's rights; that of namespaces offers all of them.
func TestMenusStayWithinRights(t *testing.T) {
	b := world.As(t, inShop)
	for path, want := range map[string][]string{
		"actor": {"alice 3"}, "namespace": {"shop 3"}, "cluster": {"own 3"}, "actor?contains=billing": {"billingAs typed", "billing*Everything that begins so"},
	} {
		if diff := cmp.Diff(want, rowsOf(t, b, path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if diff := cmp.Diff([]string{"+shop 3", "billing 1"}, rowsOf(t, world.As(t, webtest.InShopAndBills), "namespace?namespace=shop")); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{"actor?namespace=billing", "namespace?namespace=billing"} {
		got := b.Get(t, listPath+"/values/"+path)
		if strings.Contains(got.Body, "billing</bdi></th>") && strings.Contains(path, "actor") || strings.Contains(got.Body, "own-billing") {
			t.Errorf("%s: shows another namespace's", path)
		}
	}
	if got := world.As(t, nobody).Get(t, listPath+"/values/actor"); got.Status != http.StatusForbidden || strings.Contains(got.Body, "alice") {
		t.Errorf("without rights: %d", got.Status)
	}
}

// Without scripts the values are a page of links.
func TestValuesPageLeadsToTheList(t *testing.T) {
	b := world.As(t, everywhere)
	page := b.Get(t, listPath+"/values/actor?actor=bob&method=POST&contains=ali").Body
	for _, want := range []string{
		`href="/security/audit-logs?actor=bob&amp;actor=alice&amp;method=POST"`,
		`href="/security/audit-logs?actor=bob&amp;actor_exclude=alice&amp;method=POST"`,
		`href="/security/audit-logs?method=POST"`, // no longer bob
		`<input type="hidden" name="actor" value="bob">`,
		`name="contains" type="search" value="ali"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestListSaysHowCompleteItIs(t *testing.T) {
	b := world.As(t, everywhere)
	old := url.QueryEscape(time.Now().Add(-40 * 24 * time.Hour).UTC().Format(time.RFC3339))
	for query, incomplete := range map[string]bool{"": false, "?range=last_30_days": false, "?range=31d": true, "?from=" + old: true} {
		page := b.Get(t, listPath+query).Body
		if strings.Contains(page, ">Incomplete<") != incomplete || strings.Contains(page, ">Completeness unknown<") == incomplete {
			t.Errorf("%s: says otherwise", query)
		}
		if incomplete && !strings.Contains(page, "Events are kept for 30 days") {
			t.Errorf("%s: does not say for how long events are kept", query)
		}
	}
}

// A page says what holds when it is asked for, not when the first page was, and
// no range that ends now is incomplete because its answer took a moment.
func TestLaterPagesSayHowCompleteTheyAreNow(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Add(int64(time.Millisecond)))) }
	server := httptest.NewServer(world.HandlerAt(t, manyEvents(t, 60), clock))
	defer server.Close()
	b := world.NewBrowser(t)
	b.Base = server.URL
	b.Login(t, world.Tokens[everywhere], "")
	says := func(page, want string) {
		t.Helper()
		if !strings.Contains(page, ">"+want+"<") {
			t.Errorf("the page does not say %q", want)
		}
	}
	first := b.Get(t, listPath+"?range=last_30_days").Body
	says(first, "Completeness unknown")
	next := html.UnescapeString(nextPage.FindStringSubmatch(first)[1])
	ahead.Add(int64(time.Hour))
	says(b.Get(t, next).Body, "Incomplete")
	says(b.Get(t, listPath+"?range=last_30_days").Body, "Completeness unknown")
	first = b.Get(t, listPath+"?range=29d").Body
	says(b.Get(t, html.UnescapeString(nextPage.FindStringSubmatch(first)[1])).Body, "Completeness unknown")
}

// manyEvents returns a store with events of as many actors.
func manyEvents(t *testing.T, n int) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for i := range n {
		e := someEvent(time.Minute + time.Duration(i)*time.Second)
		e.Actor, e.ID, e.Raw = fmt.Sprintf("actor-%d", i), audit.ID{1, byte(i >> 8), byte(i)}, []byte("{}")
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return s
}

// A menu says that there are other values where there are, and only there.
func TestMenusSayWhetherThereIsMore(t *testing.T) {
	for n, more := range map[int]bool{50: false, 51: true} {
		server := httptest.NewServer(world.Handler(t, manyEvents(t, n), false))
		defer server.Close()
		b := world.NewBrowser(t)
		b.Base = server.URL
		b.Login(t, world.Tokens[everywhere], "")
		for contains, more := range map[string]bool{"": more, "actor-": more, "+ACTOR-4+": false} {
			menu := b.Do(t, http.MethodGet, listPath+"/values/actor?contains="+contains, nil, asScript)
			shown := strings.Count(menu.Body, `class="n"`)
			if menu.Status != http.StatusOK || strings.Contains(menu.Body, "most frequent") != more || shown != min(n, 50) && contains != "+ACTOR-4+" || shown == 0 {
				t.Errorf("of %d values with %q the menu shows %d, and says that there is more: %t", n, contains, shown, !more)
			}
		}
	}
	b := world.As(t, everywhere)
	if got := b.Get(t, listPath+"/values/actor?contains="+strings.Repeat("x", 256)); got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "contains: must have at most 255") {
		t.Errorf("a part that is too long answers %d", got.Status)
	}
}

func TestEmptyListSaysWhatToDo(t *testing.T) {
	for _, test := range []struct{ user, query, want string }{
		{everywhere, "?actor=nobody-at-all", "No event matches at any time"},
		{everywhere, "?from=2026-01-01T00:00&to=2026-01-02T00:00&resource_type=project", "Show the events around it"},
		{inShop, "?namespace=shop&actor=x", "No event matches at any time"},
	} {
		page := world.As(t, test.user).Get(t, listPath+test.query)
		if page.Status != http.StatusOK || !strings.Contains(page.Body, test.want) {
			t.Errorf("%s: %d, without %q", test.query, page.Status, test.want)
		}
	}
	// The way back to events leads to some.
	b := world.As(t, everywhere)
	m := regexp.MustCompile(`href="([^"]*)">Show the events around it`).FindStringSubmatch(b.Get(t, listPath+"?from=2026-01-01T00:00&to=2026-01-02T00:00&resource_type=project").Body)
	if m == nil || !strings.Contains(b.Get(t, html.UnescapeString(m[1])).Body, "<strong>1</strong>") {
		t.Errorf("%v leads to nothing", m)
	}
}

// The first page is small. Beside its rows it has some 900 bytes for the menu of
// each filter.
func TestListsWeight(t *testing.T) {
	b := world.As(t, everywhere)
	if page := b.Get(t, listPath+"?method_exclude=GET").Body; len(page) > 50<<10 {
		t.Errorf("a list of %d events is %d bytes", len(world.Events), len(page))
	}
	total := 0
	for _, m := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(b.Get(t, listPath).Body, -1) {
		got := b.Do(t, http.MethodGet, m[1], nil, http.Header{"Accept-Encoding": {"gzip"}})
		total += len(got.Body)
	}
	if total > 55<<10 {
		t.Errorf("the assets are %d bytes by gzip", total)
	}
}
