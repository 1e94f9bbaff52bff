package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// doors are all the paths that show something.
func doors() []string {
	paths := []string{"/", "/security/audit-logs", "/security/audit-logs?namespace=shop&actor=alice", "/security/audit-logs?cursor=x",
		"/security/audit-logs/csv?namespace=shop", "/security/audit-logs/ndjson", "/security/audit-logs/query/yaml?namespace=shop&name=x"}
	for _, e := range world.Events {
		for _, suffix := range []string{"", "?namespace=shop", "/raw", "/raw?namespace=shop"} {
			paths = append(paths, "/security/audit-logs/events/"+e.ID.String()+suffix)
		}
	}
	for _, m := range world.Snapshots {
		for _, suffix := range []string{"", "?namespace=shop", "/ndjson", "/ndjson?namespace=shop"} {
			paths = append(paths, "/security/snapshots/"+m.ID+suffix)
		}
	}
	return paths
}

// files follow the paths of the pages that offer them.
var files = regexp.MustCompile(`/(?:csv|ndjson|raw|yaml)(\?|$)`)

// spans colour JSON; without them it is whole.
var spans = regexp.MustCompile(`</?span[^>]*>`)

// shown returns the keys of the events that an answer shows anything of.
func shown(body string) []string {
	var keys []string
	body = html.UnescapeString(spans.ReplaceAllString(body, ""))
	for key, e := range world.Events {
		if strings.Contains(body, e.Path) || strings.Contains(body, e.ID.String()) || strings.Contains(body, fmt.Sprintf(`"secretOf": %q`, key)) || strings.Contains(body, fmt.Sprintf(`"secretOf":%q`, key)) {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestNothingWithoutLogIn(t *testing.T) {
	b := world.NewBrowser(t)
	for _, path := range doors() {
		got := b.Get(t, path)
		if path == "/" {
			continue // leads to the list
		}
		// A file's log-in comes back to the page that offers it.
		want := "/login?next=" + url.QueryEscape(files.ReplaceAllString(path, "$1"))
		if got.Status != http.StatusSeeOther || got.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want 303 to %q", path, got.Status, got.Header.Get("Location"), want)
		}
		program := b.Do(t, http.MethodGet, path, nil, http.Header{"Accept": {"*/*"}})
		if program.Status != http.StatusUnauthorized {
			t.Errorf("%s: a program without a token gets %d", path, program.Status)
		}
		for _, a := range []webtest.Answer{got, program} {
			if keys := shown(a.Body); len(keys) > 0 {
				t.Errorf("%s shows %v", path, keys)
			}
		}
	}
}

func TestLogInSurvivesADeepLink(t *testing.T) {
	const link = "/security/audit-logs?resource_type=application&resource_type=environment_group&actor=a%26b&namespace=shop"
	b := world.NewBrowser(t)
	login := b.Get(t, b.Get(t, link).Header.Get("Location"))
	if login.Status != http.StatusOK || !strings.Contains(login.Body, "kubectl create token") {
		t.Fatalf("the log-in page answers %d without saying how to get a token", login.Status)
	}
	field := `name="next" value="`
	_, rest, _ := strings.Cut(login.Body, field)
	next, _, _ := strings.Cut(rest, `"`)
	next = strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(next)
	got := b.Login(t, world.Tokens[inShop], next)
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != link {
		t.Fatalf("after the log-in %d to %q, want %q", got.Status, got.Header.Get("Location"), link)
	}
	if page := b.Get(t, link); page.Status != http.StatusOK {
		t.Errorf("the linked page answers %d", page.Status)
	}
}

func TestLogInRefuses(t *testing.T) {
	for name, token := range map[string]string{
		"empty": "", "blank": "  ", "garbage": "x.y.z", "long": strings.Repeat("x", 5000), "half": world.Tokens[everywhere][:40],
	} {
		t.Run(name, func(t *testing.T) {
			b := world.NewBrowser(t)
			got := b.Login(t, token, "/security/audit-logs")
			if got.Status != http.StatusUnauthorized || got.Header.Get("Set-Cookie") != "" {
				t.Errorf("status %d, cookie %q", got.Status, got.Header.Get("Set-Cookie"))
			}
			if len(token) > 4 && strings.Contains(got.Body, token) {
				t.Error("the page repeats the token")
			}
			if page := b.Get(t, "/security/audit-logs"); page.Status != http.StatusSeeOther {
				t.Errorf("the list answers %d", page.Status)
			}
		})
	}
	if got := world.NewBrowser(t).Login(t, strings.Repeat("x", 100<<10), ""); got.Status != http.StatusBadRequest {
		t.Errorf("a form of 100 KiB: status %d", got.Status)
	}
}

func TestLogInLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{
		"//evil.example", "//evil.example/security/audit-logs", "https://evil.example/", "https://evil.example/security/audit-logs", `/\evil.example`, `\/evil.example`, "/security/../../evil", "javascript:alert(1)",
		"/\t/evil.example", "/login", "security/audit-logs", "http:evil.example", "/security//evil.example/..//",
	} {
		b := world.NewBrowser(t)
		if got := b.Login(t, world.Tokens[inShop], next); got.Header.Get("Location") != "/security/audit-logs?method_exclude=GET" {
			t.Errorf("%q leads to %q", next, got.Header.Get("Location"))
		}
		if page := b.Get(t, "/login?next="+url.QueryEscape(next)); strings.Contains(page.Body, "evil") {
			t.Errorf("%q is in the log-in page", next)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	for _, secure := range []bool{false, true} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login", strings.NewReader(url.Values{"token": {world.Tokens[inShop]}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		world.Handler(t, world.Store, secure).ServeHTTP(w, r)
		cookie := w.Result().Cookies()[0]
		name := "audit-session"
		if secure {
			name = "__Host-audit-session"
		}
		if cookie.Name != name || cookie.Secure != secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("secure %t: cookie %s", secure, strings.ReplaceAll(cookie.String(), cookie.Value, "…"))
		}
		if strings.Contains(cookie.Value, world.Tokens[inShop][:20]) {
			t.Error("the cookie holds the token as it is")
		}
	}
}

func TestSessionEnds(t *testing.T) {
	b := world.As(t, everywhere)
	if got := b.Get(t, "/security/audit-logs"); got.Status != http.StatusOK {
		t.Fatalf("the list answers %d", got.Status)
	}
	address, _ := url.Parse(b.Base)
	cookie := b.Jar.Cookies(address)[0]
	middle := len(cookie.Value) / 2
	forged := cookie.Value[:middle] + "A" + cookie.Value[middle+1:]
	if forged == cookie.Value {
		forged = cookie.Value[:middle] + "B" + cookie.Value[middle+1:]
	}
	other := world.NewBrowser(t)
	if got := other.Do(t, http.MethodGet, "/security/audit-logs", nil, http.Header{"Cookie": {cookie.Name + "=" + forged}}); got.Status != http.StatusSeeOther {
		t.Errorf("a forged cookie: status %d", got.Status)
	}
	if got := b.Do(t, http.MethodPost, "/logout", url.Values{}, nil); got.Status != http.StatusSeeOther {
		t.Errorf("log-out: status %d", got.Status)
	}
	if got := b.Get(t, "/security/audit-logs"); got.Status != http.StatusSeeOther {
		t.Errorf("after the log-out the list answers %d", got.Status)
	}
}

func TestFormsOfOtherSites(t *testing.T) {
	for name, header := range map[string]http.Header{
		"by fetch metadata": {"Sec-Fetch-Site": {"cross-site"}},
		"by origin":         {"Origin": {"https://evil.example"}},
	} {
		b := world.As(t, everywhere)
		for _, path := range []string{"/login", "/logout"} {
			got := b.Do(t, http.MethodPost, path, url.Values{"token": {world.Tokens[inShop]}}, header)
			if got.Status != http.StatusForbidden || got.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s: status %d, cookie %q", name, path, got.Status, got.Header.Get("Set-Cookie"))
			}
		}
	}
}

func TestBearerToken(t *testing.T) {
	b := world.NewBrowser(t)
	path := "/security/snapshots/" + world.Snapshots["shop"].ID + "?namespace=shop"
	for token, want := range map[string]int{world.Tokens[inShop]: 200, world.Tokens[nobody]: 404, "wrong": 401, "": 401} {
		got := b.Do(t, http.MethodGet, path, nil, http.Header{"Authorization": {"Bearer " + token}, "Accept": {"*/*"}})
		if got.Status != want {
			t.Errorf("status %d, want %d", got.Status, want)
		}
	}
}

func TestHeaders(t *testing.T) {
	b := world.As(t, everywhere)
	for _, path := range []string{"/login", "/security/audit-logs", "/nothing"} {
		h := b.Get(t, path).Header
		if policy := h.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}
