package dashboard_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// alert is what a log-in page says is wrong, or all of a page that says nothing.
func alert(body string) string {
	if _, after, ok := strings.Cut(body, `role="alert">`); ok {
		body, _, _ = strings.Cut(after, "</p>")
	}
	return body
}

// begin opens the log-in with the provider and returns where that leads.
func begin(t *testing.T, b *webtest.Browser, next string) string {
	t.Helper()
	got := b.Get(t, "/login/oidc?next="+url.QueryEscape(next))
	if got.Status != http.StatusSeeOther {
		t.Fatalf("the log-in with the provider answers %d: %s", got.Status, alert(got.Body))
	}
	return got.Header.Get("Location")
}

// people are those whom the provider knows, with what they may see here.
func bindPeople(t *testing.T) {
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "oidc:shop-auditors"}, "shop")
	world.Bind(t, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "oidc:bo@example.com"}, "billing")
}

func eventsIn(body string) []string {
	keys := shown(body)
	slices.Sort(keys)
	return keys
}

// Who signs in at the provider sees what is bound to its name and groups, and
// nothing else.
func TestSignInWithProvider(t *testing.T) {
	bindPeople(t)
	for _, tt := range []struct {
		user string
		want []string
	}{
		{webtest.Ada, []string{"shop-app", "shop-env", "shop-project"}},
		{webtest.Bo, []string{"billing"}},
	} {
		t.Run(tt.user, func(t *testing.T) {
			var signedIn []string
			b, p := world.WithProvider(t, func(o *login.Options) {
				o.SignedIn = func(_ *http.Request, user auth.User, means login.Means) {
					signedIn = append(signedIn, user.Name+" by "+string(means))
				}
			})
			const link = "/security/audit-logs?resource_type=application&resource_type=environment_group&resource_type=project"
			first := b.Get(t, b.Get(t, link).Header.Get("Location"))
			href := "/login/oidc?next=" + url.QueryEscape(link)
			if !strings.Contains(first.Body, "Sign in with Example ID") || !strings.Contains(first.Body, href) || !strings.Contains(first.Body, `name="token"`) {
				t.Fatalf("the log-in page doesn't offer the provider and tokens: %s", first.Body)
			}
			got := b.Get(t, p.SignIn(t, begin(t, b, link), tt.user, webtest.Password))
			if got.Status != http.StatusSeeOther || got.Header.Get("Location") != link {
				t.Fatalf("coming back answers %d to %q: %s", got.Status, got.Header.Get("Location"), alert(got.Body))
			}
			if want := []string{"oidc:" + tt.user + "@example.com by oidc"}; !cmp.Equal(want, signedIn) {
				t.Errorf("signed in are %q, want %q", signedIn, want)
			}
			list := b.Get(t, link)
			if diff := cmp.Diff(tt.want, eventsIn(list.Body)); list.Status != http.StatusOK || diff != "" {
				t.Errorf("the list answers %d, with (-want +got) %s", list.Status, diff)
			}
			if !strings.Contains(list.Body, "oidc:"+tt.user+"@example.com") {
				t.Error("the page doesn't say who is signed in")
			}
			b.Do(t, http.MethodPost, "/logout", url.Values{}, nil)
			if again := b.Get(t, link); again.Status != http.StatusSeeOther || len(shown(again.Body)) > 0 {
				t.Errorf("after the log-out the list answers %d", again.Status)
			}
		})
	}
}

// Nobody is let in whom the provider doesn't vouch for, or whose name or groups
// Kubernetes would take for its own.
func TestRefusedByWhoTheyAre(t *testing.T) {
	for name, tt := range map[string]struct {
		user   string
		change func(*login.Options)
		says   string
	}{
		"not verified":     {webtest.Cy, func(*login.Options) {}, "has not verified"},
		"system:masters":   {webtest.Root, func(o *login.Options) { o.OIDC.GroupsPrefix = "" }, "begins with system:"},
		"missing claim":    {webtest.Ada, func(o *login.Options) { o.OIDC.UsernameClaim = "upn" }, "the claim upn"},
		"claim of a kind":  {webtest.Ada, func(o *login.Options) { o.OIDC.GroupsClaim = "email_verified" }, "neither a text nor a list"},
		"scope is missing": {webtest.Ada, func(o *login.Options) { o.OIDC.Scopes = []string{"openid"} }, "the claim email"},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := world.WithProvider(t, tt.change)
			got := b.Get(t, p.SignIn(t, begin(t, b, "/"), tt.user, webtest.Password))
			if got.Status != http.StatusUnauthorized || !strings.Contains(got.Body, tt.says) || strings.Contains(got.Header.Get("Set-Cookie"), "audit-session=") {
				t.Errorf("answer %d, cookies %q: %s", got.Status, got.Header.Values("Set-Cookie"), alert(got.Body))
			}
			if page := b.Get(t, "/security/audit-logs"); page.Status != http.StatusSeeOther {
				t.Errorf("the list answers %d", page.Status)
			}
		})
	}
}

// With a prefix, system:masters of the provider is a group like others: one that
// nothing is bound to.
func TestNoRightsBySignInAlone(t *testing.T) {
	for _, user := range []string{webtest.Root, webtest.Bo} {
		b, p := world.WithProvider(t, nil)
		if got := b.Get(t, p.SignIn(t, begin(t, b, "/"), user, webtest.Password)); got.Status != http.StatusSeeOther {
			t.Fatalf("%s: answer %d: %s", user, got.Status, alert(got.Body))
		}
		for _, path := range doors() {
			if got := b.Get(t, path); path != "/" && got.Status/100 == 2 || len(shown(got.Body)) > 0 {
				t.Errorf("%s: %s answers %d and shows %v", user, path, got.Status, shown(alert(got.Body)))
			}
		}
	}
}

// What comes back from the provider is taken once, in the browser that asked, and
// as it was asked for.
func TestForgedAnswers(t *testing.T) {
	b, p := world.WithProvider(t, nil)
	refused := func(what string, b *webtest.Browser, path, says string) {
		t.Helper()
		got := b.Get(t, path)
		if got.Status != http.StatusUnauthorized || !strings.Contains(got.Body, says) || strings.Contains(got.Body, "<script>alert") {
			t.Errorf("%s: answer %d: %s", what, got.Status, alert(got.Body))
		}
		if page := b.Get(t, "/security/audit-logs"); page.Status != http.StatusSeeOther {
			t.Errorf("%s: the list answers %d", what, page.Status)
		}
		if state, _ := url.Parse(path); state.Query().Get("code") != "" && strings.Contains(got.Body, state.Query().Get("code")) {
			t.Errorf("%s: the page repeats the code", what)
		}
	}
	query := func(path string) (string, url.Values) {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		return u.Path, u.Query()
	}
	with := func(path string, change func(url.Values)) string {
		at, values := query(path)
		change(values)
		return at + "?" + values.Encode()
	}
	back := func() string { t.Helper(); return p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password) }

	const begun = "Begin again"
	refused("no state", b, with(back(), func(v url.Values) { v.Del("state") }), begun)
	refused("another state", b, with(back(), func(v url.Values) { v.Set("state", "made-up") }), begun)
	refused("another browser", webtest.BrowserAt(t, b.Base), back(), begun)
	refused("another provider", b, with(back(), func(v url.Values) { v.Set("iss", "https://evil.example") }), "of another provider")
	refused("a made-up code", b, with(back(), func(v url.Values) { v.Set("code", "made-up") }), begun)
	refused("no code", b, with(back(), func(v url.Values) { v.Del("code") }), begun)
	refused("refused", b, with(back(), func(v url.Values) {
		v.Set("error", "access_denied")
		v.Set("error_description", "<script>alert(1)</script>")
	}), "did not let you in")
	refused("an error with markup", b, with(back(), func(v url.Values) { v.Set("error", "<script>alert(1)</script>") }), "refuses the log-in (unknown)")
	refused("an error of nobody", b, "/login/oidc/callback?error=access_denied&state=x", begun)
	refused("nothing", b, "/login/oidc/callback", begun)

	// The state of one attempt and the code of another: the provider refuses it,
	// because the code belongs to the other's PKCE verifier.
	_, one := query(back())
	refused("two attempts", b, with(back(), func(v url.Values) { v.Set("code", one.Get("code")) }), begun)

	// A nonce that is not the one of this attempt.
	refused("another nonce", b, p.SignIn(t, with2(begin(t, b, "/"), "nonce", "made-up"), webtest.Ada, webtest.Password), "belongs to another log-in")
	refused("no nonce", b, p.SignIn(t, with2(begin(t, b, "/"), "nonce", ""), webtest.Ada, webtest.Password), "belongs to another log-in")

	// A log-in that went well is not repeated, not even with its cookie put back.
	done := back()
	address, _ := url.Parse(b.Base)
	kept := slices.Clone(b.Jar.Cookies(address))
	if got := b.Get(t, done); got.Status != http.StatusSeeOther {
		t.Fatalf("coming back answers %d: %s", got.Status, alert(got.Body))
	}
	b.Do(t, http.MethodPost, "/logout", url.Values{}, nil)
	refused("a replayed answer", b, done, begun)
	b.Jar.SetCookies(address, kept)
	refused("a code that was used", b, done, begun)
}

// with2 changes a parameter of an address.
func with2(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// A code that was stolen is worth nothing, even to who knows the client's secret.
func TestStolenCode(t *testing.T) {
	b, p := world.WithProvider(t, nil)
	authorize := begin(t, b, "/")
	asked, err := url.Parse(authorize)
	if err != nil || asked.Query().Get("code_challenge_method") != "S256" || len(asked.Query().Get("code_challenge")) != 43 || len(asked.Query().Get("state")) < 26 || len(asked.Query().Get("nonce")) < 26 {
		t.Fatalf("the provider is asked by %q (%v)", authorize, err)
	}
	for name, verifier := range map[string]string{"no verifier": "", "another verifier": strings.Repeat("x", 43), "the challenge": asked.Query().Get("code_challenge")} {
		callback, err := url.Parse(p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Redeem(t, b.Base+login.CallbackPath, callback.Query().Get("code"), verifier); got/100 != 4 {
			t.Errorf("%s: the provider answers %d", name, got)
		}
	}
}

func TestLogInInTwoTabs(t *testing.T) {
	b, p := world.WithProvider(t, nil)
	const one, two = "/security/audit-logs?actor=one", "/security/audit-logs?actor=two"
	first, second := begin(t, b, one), begin(t, b, two)
	for authorize, want := range map[string]string{second: two, first: one} {
		if got := b.Get(t, p.SignIn(t, authorize, webtest.Ada, webtest.Password)); got.Header.Get("Location") != want {
			t.Errorf("answer %d to %q, want %q", got.Status, got.Header.Get("Location"), want)
		}
	}
	// However many are begun, the browser keeps few of them, the newest among them.
	var last string
	for range 12 {
		last = begin(t, b, two)
	}
	address, _ := url.Parse(b.Base)
	if kept := len(b.Jar.Cookies(address)); kept > 5 {
		t.Errorf("the browser keeps %d cookies", kept)
	}
	if got := b.Get(t, p.SignIn(t, last, webtest.Ada, webtest.Password)); got.Header.Get("Location") != two {
		t.Errorf("answer %d to %q: %s", got.Status, got.Header.Get("Location"), alert(got.Body))
	}
}

func TestProviderLeadsNowhereElse(t *testing.T) {
	b, p := world.WithProvider(t, nil)
	for _, next := range []string{"//evil.example", "https://evil.example/security/audit-logs", `/\evil.example`, "/login/oidc", "javascript:alert(1)", ""} {
		got := b.Get(t, p.SignIn(t, begin(t, b, next), webtest.Ada, webtest.Password))
		if got.Header.Get("Location") != "/security/audit-logs?method_exclude=GET" {
			t.Errorf("%q leads to %q", next, got.Header.Get("Location"))
		}
	}
}

// clock is one that a test moves.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(c.ahead) }

func (c *clock) set(ahead time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.ahead = ahead }

func (c *clock) forward(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.ahead += d }

func TestLogInsAndSessionsEnd(t *testing.T) {
	bindPeople(t)
	var c clock
	b, p := world.WithProvider(t, func(o *login.Options) { o.Now, o.Lifetime = c.now, time.Hour })
	token := webtest.BrowserAt(t, b.Base)
	token.Login(t, world.Tokens[inShop], "")
	if got := b.Get(t, p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password)); got.Status != http.StatusSeeOther {
		t.Fatalf("coming back answers %d: %s", got.Status, alert(got.Body))
	}
	slow := p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password)
	c.forward(11 * time.Minute)
	if got := b.Get(t, slow); got.Status != http.StatusUnauthorized || !strings.Contains(got.Body, "longer than ten minutes") {
		t.Errorf("a log-in of eleven minutes: answer %d", got.Status)
	}
	c.forward(48 * time.Minute)
	for _, b := range []*webtest.Browser{b, token} {
		if got := b.Get(t, "/security/audit-logs"); got.Status != http.StatusOK {
			t.Errorf("after 59 minutes the list answers %d", got.Status)
		}
	}
	c.forward(time.Minute)
	for _, b := range []*webtest.Browser{b, token} {
		if got := b.Get(t, "/security/audit-logs"); got.Status != http.StatusSeeOther || len(shown(got.Body)) > 0 {
			t.Errorf("after an hour the list answers %d", got.Status)
		}
	}
	// An ID token of a provider whose clock is far behind, or ahead.
	for _, apart := range []time.Duration{2 * time.Hour, -6 * time.Hour} {
		c.forward(apart)
		if got := b.Get(t, p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password)); got.Status != http.StatusUnauthorized {
			t.Errorf("a clock that is %s apart: answer %d", apart, got.Status)
		}
	}
}

// Every replica takes every session; one whose provider or prefixes are others
// takes none that were made under these.
func TestSessionsOnEveryReplica(t *testing.T) {
	bindPeople(t)
	var provider *login.OIDCOptions
	b, p := world.WithProvider(t, func(o *login.Options) { provider = o.OIDC })
	if got := b.Get(t, p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password)); got.Status != http.StatusSeeOther {
		t.Fatalf("coming back answers %d: %s", got.Status, alert(got.Body))
	}
	address, _ := url.Parse(b.Base)
	for name, tt := range map[string]struct {
		change func(*login.Options)
		want   int
	}{
		"another replica":     {func(*login.Options) {}, http.StatusOK},
		"another button":      {func(o *login.Options) { o.OIDC.Name = "Other" }, http.StatusOK},
		"another provider":    {func(o *login.Options) { o.OIDC.IssuerURL = "https://id.example.com" }, http.StatusSeeOther},
		"another prefix":      {func(o *login.Options) { o.OIDC.GroupsPrefix = "" }, http.StatusSeeOther},
		"no provider":         {func(o *login.Options) { o.OIDC = nil }, http.StatusSeeOther},
		"other keys":          {func(o *login.Options) { o.BlockKey = bytes.Repeat([]byte("x"), 32) }, http.StatusSeeOther},
		"other keys to check": {func(o *login.Options) { o.HashKey = bytes.Repeat([]byte("x"), 64) }, http.StatusSeeOther},
	} {
		options := *provider
		replica := httptest.NewServer(world.HandlerWith(t, world.Store, func(o *login.Options) { o.OIDC = &options; tt.change(o) }))
		t.Cleanup(replica.Close)
		other := webtest.BrowserAt(t, replica.URL)
		there, _ := url.Parse(replica.URL)
		other.Jar.SetCookies(there, b.Jar.Cookies(address))
		if got := other.Get(t, "/security/audit-logs"); got.Status != tt.want {
			t.Errorf("%s: the list answers %d, want %d", name, got.Status, tt.want)
		}
	}
}

// The operator starts without the provider, and goes on with it when it comes.
func TestProviderAway(t *testing.T) {
	address := webtest.FreeAddress(t)
	var c clock
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	options := (&webtest.Provider{Issuer: "http://" + address, ClientID: "audit"}).Options(base)
	server.Config.Handler = world.HandlerWith(t, world.Store, func(o *login.Options) { o.OIDC, o.Now = options, c.now })
	server.Start()
	t.Cleanup(server.Close)
	b := webtest.BrowserAt(t, base)
	for range 2 {
		got := b.Get(t, "/login/oidc?next=/security/audit-logs")
		if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, "Example ID doesn&#39;t work at the moment") || !strings.Contains(got.Body, `name="token"`) {
			t.Fatalf("without the provider the log-in answers %d: %s", got.Status, alert(got.Body))
		}
	}
	if got := b.Login(t, world.Tokens[inShop], ""); got.Status != http.StatusSeeOther {
		t.Errorf("without the provider a token gets %d", got.Status)
	}
	p := webtest.NewProvider(t, address, base+login.CallbackPath)
	options.ClientSecretFile = p.SecretFile // of no effect: the handler has a copy
	c.forward(3 * time.Second)
	if got := b.Get(t, "/login/oidc"); got.Status != http.StatusSeeOther {
		t.Errorf("with the provider the log-in answers %d: %s", got.Status, alert(got.Body))
	}
}

// The client's secret may change while the operator runs, and nothing secret is
// in its log, whatever goes wrong.
func TestSecrets(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	log := funcr.New(func(prefix, args string) { mu.Lock(); defer mu.Unlock(); lines = append(lines, prefix+" "+args) }, funcr.Options{Verbosity: 100})
	b, p := world.WithProvider(t, func(o *login.Options) { o.Log = log })
	var secrets []string
	try := func(change func(callback string) string, want int) {
		t.Helper()
		authorize := begin(t, b, "/")
		callback := p.SignIn(t, authorize, webtest.Ada, webtest.Password)
		for _, address := range []string{authorize, callback} {
			u, _ := url.Parse(address)
			for _, name := range []string{"code", "state", "nonce"} {
				if value := u.Query().Get(name); value != "" {
					secrets = append(secrets, value)
				}
			}
		}
		got := b.Get(t, change(callback))
		if got.Status != want {
			t.Errorf("coming back answers %d, want %d: %s", got.Status, want, alert(got.Body))
		}
		if strings.Contains(got.Body, "wrong secret") || strings.Contains(got.Body, p.ClientSecret) {
			t.Error("the page holds the client's secret")
		}
	}
	same := func(callback string) string { return callback }
	if err := os.WriteFile(p.SecretFile, []byte("a wrong secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	try(same, http.StatusServiceUnavailable)
	if err := os.Remove(p.SecretFile); err != nil {
		t.Fatal(err)
	}
	try(same, http.StatusServiceUnavailable)
	if err := os.WriteFile(p.SecretFile, []byte(p.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	try(same, http.StatusSeeOther)
	try(func(callback string) string { return callback + "x" }, http.StatusUnauthorized)
	try(func(callback string) string { return strings.Replace(callback, "code=", "code=x", 1) }, http.StatusUnauthorized)
	all := strings.Join(lines, "\n")
	if len(lines) < 3 {
		t.Errorf("the log has %d lines: %s", len(lines), all)
	}
	for _, secret := range append(secrets, "a wrong secret", p.ClientSecret, url.QueryEscape(p.ClientSecret), "eyJ") {
		if strings.Contains(all, secret) {
			t.Errorf("the log holds %q:\n%s", secret, all)
		}
	}
}

func TestNoProvider(t *testing.T) {
	b := world.NewBrowser(t)
	for _, path := range []string{"/login/oidc", "/login/oidc/callback?code=x&state=y"} {
		if got := b.Get(t, path); got.Status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, got.Status)
		}
	}
	if got := b.Get(t, "/login"); strings.Contains(got.Body, "/login/oidc") {
		t.Error("the log-in page offers a provider")
	}
}
