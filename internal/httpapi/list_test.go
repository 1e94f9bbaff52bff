package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

const list = "/api/v1/audit-logs"

type about struct {
	Window struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
	} `json:"window"`
	AsOf     time.Time `json:"asOf"`
	Complete struct {
		Status string `json:"status"`
		Reason string `json:"reason"`
	} `json:"complete"`
}

type page struct {
	Items []snapshot.Record `json:"items"`
	Next  string            `json:"next"`
	about
	Matched        *int64 `json:"matched"`
	SearchedInPart *int64 `json:"searchedInPart"`
}

// keysOf returns the keys of the world's events that records are of.
func keysOf(t *testing.T, records []snapshot.Record) []string {
	t.Helper()
	var keys []string
	for _, r := range records {
		for key, e := range world.Events {
			want := snapshot.NewRecord(&e)
			if want.ID != r.ID {
				continue
			}
			keys = append(keys, key)
			want.IngestedAt = r.IngestedAt
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("%s: %s", key, diff)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func TestList(t *testing.T) {
	all := []string{"billing", "cluster", "foreign", "hostile", "shop-app", "shop-env", "shop-project"}
	shop := []string{"shop-app", "shop-env", "shop-project"}
	p := newPrograms(t)
	for _, tt := range []struct {
		user, query string
		status      int
		keys        []string
	}{
		{everywhere, "", 200, all},
		{everywhere, "?resource_type=application&resource_type=environment_group", 200, []string{"billing", "foreign", "shop-app", "shop-env"}},
		{everywhere, "?resource_type_exclude=application&namespace=shop", 200, []string{"shop-env", "shop-project"}},
		{everywhere, "?search=OWN-SHOP&range=last_hour&actor=", 200, shop},
		{everywhere, "?actor=bob", 200, nil},
		{everywhere, "?namespace=-", 200, []string{"cluster"}},
		{inShop, "", 200, shop},
		{inShop, "?namespace=shop", 200, shop},
		{inShop, "?cluster=elsewhere", 200, nil},
		{inShop, "?namespace_exclude=billing", 200, shop},
		{inShop, "?namespace=shop&namespace=billing", 403, nil},
		{inShop, "?namespace=-", 403, nil},
		{inBoth, "", 200, append([]string{"billing"}, shop...)},
		{inBoth, "?namespace=billing", 200, []string{"billing"}},
		{nobody, "", 403, nil},
		{nobody, "?namespace=shop", 403, nil},
		{"", "", 401, nil},
	} {
		t.Run(tt.user+" "+tt.query, func(t *testing.T) {
			path := list + tt.query + "?count=true"
			if tt.query != "" {
				path = list + tt.query + "&count=true"
			}
			answer := p.get(t, tt.user, path)
			if tt.status != http.StatusOK {
				wantProblem(t, answer, tt.status, map[int]string{401: "unauthenticated", 403: "forbidden"}[tt.status])
				return
			}
			if kind := answer.Header.Get("Content-Type"); answer.Status != tt.status || kind != "application/json" {
				t.Fatalf("status %d, type %q: %s", answer.Status, kind, answer.Body)
			}
			got := decode[page](t, answer)
			if diff := cmp.Diff(tt.keys, keysOf(t, got.Items)); diff != "" || len(got.Items) != len(tt.keys) {
				t.Errorf("%d events: %s", len(got.Items), diff)
			}
			if got.Matched == nil || *got.Matched != int64(len(tt.keys)) {
				t.Errorf("matched %v, want %d", got.Matched, len(tt.keys))
			}
			if got.Next != "" || got.AsOf.IsZero() || !got.Window.From.Before(got.Window.To) || got.Complete.Status != "Unknown" || got.Complete.Reason != "NotMeasured" {
				t.Errorf("it says of itself %+v, next %q", got.about, got.Next)
			}
		})
	}
	if got := decode[page](t, p.get(t, inShop, list)); got.Matched != nil {
		t.Errorf("a count of %d that nobody asked for", *got.Matched)
	}
}

// An answer says what holds when it is asked for, not when the first page was,
// and no range that ends now is incomplete because its answer took a moment.
func TestCompletenessIsThatOfNow(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Add(int64(time.Millisecond)))) }
	server := httptest.NewServer(world.HandlerAt(t, world.Store, clock))
	defer server.Close()
	p := programs{&webtest.Browser{Client: server.Client(), Base: server.URL}}
	says := func(want, path string) string {
		t.Helper()
		var got struct {
			Next     string `json:"next"`
			Complete struct {
				Reason string `json:"reason"`
			} `json:"complete"`
		}
		answer := p.get(t, everywhere, path)
		if err := json.Unmarshal([]byte(answer.Body), &got); err != nil || got.Complete.Reason != want {
			t.Errorf("%s says %q, want %q: %v", path, got.Complete.Reason, want, err)
		}
		return got.Next
	}
	const month = "range=last_30_days"
	next := says("NotMeasured", list+"?limit=2&"+month)
	says("NotMeasured", list+"/histogram?"+month)
	says("NotMeasured", list+"/facets/actor?"+month)
	if got := p.get(t, everywhere, "/api/v1/export?"+month).Header.Get("Audit-Complete-Reason"); got != "NotMeasured" {
		t.Errorf("the export says %q", got)
	}
	ahead.Add(int64(time.Hour))
	says("BeyondRetention", list+"?limit=2&"+month+"&cursor="+next)
	says("NotMeasured", list+"?limit=2&"+month)
}

// A window that reaches beyond the retention says so.
func TestBeyondRetention(t *testing.T) {
	got := decode[page](t, newPrograms(t).get(t, everywhere, list+"?range=31d"))
	if got.Complete.Status != "False" || got.Complete.Reason != "BeyondRetention" {
		t.Errorf("complete %+v", got.Complete)
	}
}

// Pages of any size hold every event once, in the one order.
func TestPages(t *testing.T) {
	p := newPrograms(t)
	whole := decode[page](t, p.get(t, everywhere, list))
	for limit := 1; limit <= len(whole.Items)+1; limit++ {
		var got []snapshot.Record
		cursor, pages := "", 0
		for pages == 0 || cursor != "" {
			answer := decode[page](t, p.get(t, everywhere, list+"?"+url.Values{"limit": {string(rune('0' + limit))}, "cursor": {cursor}}.Encode()))
			got, cursor = append(got, answer.Items...), answer.Next
			if pages++; pages > 10 {
				t.Fatal("the pages do not end")
			}
		}
		if diff := cmp.Diff(whole.Items, got); diff != "" {
			t.Errorf("by %d: %s", limit, diff)
		}
	}
}

func TestParameters(t *testing.T) {
	p := newPrograms(t)
	cursor := decode[page](t, p.get(t, everywhere, list+"?limit=1")).Next
	for query, want := range map[string]wrong{
		"colour=red":                    {"colour", "", "is no parameter here; use limit, count, cursor, resource_type, "},
		"raw=true":                      {"raw", "", "is no parameter here"},
		"method=FETCH":                  {"method", "FETCH", "is no method; use one of GET"},
		"method_exclude=FETCH":          {"method_exclude", "FETCH", "is no method"},
		"ip=300.1.1.1":                  {"ip", "300.1.1.1", "is no address"},
		"limit=0":                       {"limit", "0", "must be a number from 1 to 1000"},
		"limit=1001":                    {"limit", "1001", "must be a number from 1 to 1000"},
		"limit=ten":                     {"limit", "ten", "must be a number from 1 to 1000"},
		"limit=1&limit=2":               {"limit", "", "may be given once"},
		"count=yes":                     {"count", "yes", "must be true or false"},
		"cursor=garbage":                {"cursor", "", "does not belong to this filter; begin with the first page"},
		"cursor=" + cursor + "&actor=a": {"cursor", "", "does not belong to this filter; begin with the first page"},
		"actor=%zz":                     {"", "", "the query string has a part"},
		"actor=a;actor=b":               {"", "", "the query string has a part"},
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": {"from", "2026-01-02T00:00:00Z", "must be before to"},
	} {
		got := wantProblem(t, p.get(t, everywhere, list+"?"+query), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != want.Parameter || got[0].Value != want.Value || !strings.HasPrefix(got[0].Detail, want.Detail) {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
	// What is wrong is told all at once.
	got := wantProblem(t, p.get(t, everywhere, list+"?limit=x&method=FETCH&colour=red&count=maybe"), http.StatusBadRequest, "invalid").Errors
	if len(got) != 4 {
		t.Errorf("got %+v", got)
	}
	if limited := wantProblem(t, p.get(t, everywhere, list+"?"+url.QueryEscape(webtest.Hostile)+"=x"), http.StatusBadRequest, "invalid"); len(limited.Errors) != 1 {
		t.Errorf("got %+v", limited)
	}
}

// What is no endpoint, and what an endpoint does not do, are problems too.
func TestAddresses(t *testing.T) {
	p := newPrograms(t)
	for _, path := range []string{"/api/", "/api/v1/", "/api/v1/nothing", "/api/v9/audit-logs", "/api/v1/audit-logs/"} {
		wantProblem(t, p.get(t, everywhere, path), http.StatusNotFound, "not-found")
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		answer := p.ask(t, everywhere, method, list)
		wantProblem(t, answer, http.StatusMethodNotAllowed, "method-not-allowed")
		if allow := answer.Header.Get("Allow"); allow != "GET, HEAD" {
			t.Errorf("%s: Allow: %q", method, allow)
		}
	}
	answer := p.ask(t, everywhere, http.MethodHead, list)
	if answer.Status != http.StatusOK || answer.Body != "" || answer.Header.Get("Content-Type") != "application/json" || answer.Header.Get("Content-Length") == "0" {
		t.Errorf("HEAD: %+v", answer)
	}
}

// A browser's session opens the API too, so that links of pages lead to it, but
// not for what pages of other sites send.
func TestSession(t *testing.T) {
	b := world.As(t, inShop)
	if got := decode[page](t, b.Get(t, list)); len(got.Items) != 3 {
		t.Errorf("%d events", len(got.Items))
	}
	answer := b.Do(t, http.MethodPost, list, nil, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	wantProblem(t, answer, http.StatusForbidden, "cross-origin")
	stranger := world.NewBrowser(t).Get(t, list)
	wantProblem(t, stranger, http.StatusUnauthorized, "unauthenticated")
	if got := stranger.Header.Get("WWW-Authenticate"); got != "Bearer" {
		t.Errorf("WWW-Authenticate: %q", got)
	}
}
