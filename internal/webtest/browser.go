package webtest

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/dashboard"
)

// Browser is a client with cookies that follows no redirect by itself.
type Browser struct {
	*http.Client
	Base string
}

// NewBrowser returns a browser at a server of its own.
func (world *World) NewBrowser(t testing.TB) *Browser {
	t.Helper()
	return world.NewBrowserOver(t, world.Store)
}

// NewBrowserOver returns a browser at a server of its own over another store.
func (world *World) NewBrowserOver(t testing.TB, s dashboard.Store) *Browser {
	t.Helper()
	server := httptest.NewServer(world.Handler(t, s, false))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Browser{client, server.URL}
}

// As returns a browser that a user has signed in with.
func (world *World) As(t testing.TB, user string) *Browser {
	t.Helper()
	b := world.NewBrowser(t)
	if got := b.Login(t, world.Tokens[user], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("log-in of %s answered %d", user, got.Status)
	}
	return b
}

// Answer is what a server answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends a request as a browser does, with a form if there is one.
func (b *Browser) Do(t testing.TB, method, path string, form url.Values, header http.Header) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, b.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := b.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(body)}
}

// Get asks for a page.
func (b *Browser) Get(t testing.TB, path string) Answer {
	t.Helper()
	return b.Do(t, http.MethodGet, path, nil, nil)
}

// Login signs in with a token, to go on at next.
func (b *Browser) Login(t testing.TB, token, next string) Answer {
	t.Helper()
	return b.Do(t, http.MethodPost, "/login", url.Values{"token": {token}, "next": {next}}, nil)
}
