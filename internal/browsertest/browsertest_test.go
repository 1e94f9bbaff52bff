package browsertest

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	code := m.Run()
	chromium.end()
	os.Exit(code)
}

// recorder takes down what would fail a test.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// serve serves one page under a policy like that of the pages.
func serve(body string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src *; img-src * data:")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>t</title><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:image/png;base64,"><main><h1>t</h1>`+body+`</main></html>`)
	})
	mux.HandleFunc("GET /script.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, r.URL.Query().Get("is"))
	})
	return mux
}

// Whatever a browser can complain of is heard.
func TestComplaints(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", `<p>All is well.</p>`, ""},
		{"exception", `<script src="/script.js?is=nothing.there()"></script>`, "nothing is not defined"},
		{"console", `<script src="/script.js?is=console.error('oh')"></script>`, `"oh"`},
		{"inline script", `<script>document.title = "pwned"</script>`, "Content Security Policy"},
		{"event handler", `<img src="data:image/png;base64," alt="" onerror="document.title='pwned'">`, "Content Security Policy"},
		{"dialog", `<script src="/script.js?is=alert('here')"></script>`, "dialog: here"},
		{"missing file", `<script src="/missing.js"></script>`, "404"},
		{"another host", `<img src="https://192.0.2.1/pixel.png" alt="">`, "request to https://192.0.2.1/pixel.png"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			tab := Serve(t, serve(tt.body), Look{})
			tab.Go("/")
			if tt.want != "" {
				awaitComplaint(t, tab, tt.want)
			}
			tab.t = r
			tab.check()
			if (tt.want == "") != (len(r.failures) == 0) {
				t.Errorf("the test fails with %q, want %q", r.failures, tt.want)
			}
			tab.Tolerate("")
			tab.t = t
		})
	}
}

// awaitComplaint waits by asking the page, since complaints come when they come.
func awaitComplaint(t *testing.T, tab *Tab, want string) {
	t.Helper()
	for range 500 {
		if strings.Contains(strings.Join(tab.Complaints(), "\n"), want) {
			return
		}
		Eval[bool](tab, `new Promise(done => setTimeout(() => done(true), 10))`)
	}
	t.Errorf("the browser complains of %q, want %q", tab.Complaints(), want)
}

// axe-core finds what a page does wrong, in the theme that it does it in.
func TestAxe(t *testing.T) {
	body := `<style>@media (prefers-color-scheme: dark) { p { color: #222; background: #111 } }</style><p>words</p><button></button>`
	tab := Serve(t, serve(body), Look{})
	ids := func() []string {
		var ids []string
		for _, v := range tab.violations() {
			ids = append(ids, v.ID)
		}
		return ids
	}
	tab.Go("/")
	if diff := cmp.Diff([]string{"button-name"}, ids()); diff != "" {
		t.Errorf("light (-want +got):\n%s", diff)
	}
	tab.As(Look{Theme: Dark})
	if diff := cmp.Diff([]string{"button-name", "color-contrast"}, ids()); diff != "" {
		t.Errorf("dark (-want +got):\n%s", diff)
	}
}

func TestOverflow(t *testing.T) {
	tab := Serve(t, serve(`<div class="bar" style="width: 700px">wide</div><div style="overflow: auto"><p style="width: 2000px">inside</p></div>`), Look{Width: Phone})
	tab.Go("/")
	if got := tab.Overflow(); !strings.Contains(got, "div.bar") || strings.Contains(got, ", p") {
		t.Errorf("what is too wide: %q, want div.bar alone", got)
	}
	cut := Serve(t, serve(`<div class="panel" style="position: absolute; left: -50px; width: 200px">cut</div>`), Look{})
	cut.Go("/")
	if got := cut.Overflow(); !strings.Contains(got, "left: div.panel") {
		t.Errorf("what is cut off: %q, want div.panel", got)
	}
	tab.As(Look{})
	if got := tab.Overflow(); got != "" {
		t.Errorf("on a laptop: %q, want nothing", got)
	}
}

// The keyboard's check finds what hides its focus, and what covers it.
func TestKeyboard(t *testing.T) {
	body := `<style>.bare:focus-visible { outline: none } .lid { position: fixed; inset: auto 0 0 0; height: 60px; background: #fff }</style>` +
		`<a href="/1" class="bare">one</a> <a href="/2">two</a><a href="/3" class="under" style="position: fixed; bottom: 10px">three</a><div class="lid"></div>`
	tab := Serve(t, serve(body), Look{})
	tab.Go("/")
	got := Eval[[]string](tab, unseen)
	if len(got) != 2 || !strings.HasPrefix(got[0], "shows no focus: <a href=\"/1\"") || !strings.HasPrefix(got[1], "is covered when it has the focus: <a href=\"/3\"") {
		t.Errorf("the keyboard's check says %q", got)
	}
}

// Of WCAG 2.2 the size of targets is looked at too.
func TestAxeTargets(t *testing.T) {
	tab := Serve(t, serve(`<style>a { display: inline-block; width: 12px; height: 12px; overflow: hidden }</style><p><a href="/1">1</a><a href="/2">2</a><a href="/3">3</a></p>`), Look{})
	tab.Go("/")
	var ids []string
	for _, v := range tab.violations() {
		ids = append(ids, v.ID)
	}
	if !slices.Contains(ids, "target-size") {
		t.Errorf("of targets of 12 pixels axe-core finds %v", ids)
	}
}

func TestLook(t *testing.T) {
	const page = `<noscript>no scripts</noscript><script src="/script.js?is=document.title='scripts'"></script>`
	tab := Serve(t, serve(page), Look{NoScript: true, TimeZone: "Asia/Tokyo", ReducedMotion: true})
	tab.Go("/")
	if got := Eval[string](tab, `document.title + " " + new Date(0).getHours() + " " + matchMedia("(prefers-reduced-motion)").matches`); got != "t 9 true" {
		t.Errorf("without scripts, in Tokyo: %s", got)
	}
	if !strings.Contains(tab.Text("main"), "no scripts") {
		t.Errorf("noscript is not shown: %q", tab.Text("main"))
	}
	tab.As(Look{})
	tab.Reload()
	if got := Eval[string](tab, `document.title + " " + new Date(0).getHours() + " " + matchMedia("(prefers-reduced-motion)").matches`); got != "scripts 0 false" {
		t.Errorf("with scripts, in UTC: %s", got)
	}
}

func TestDownload(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/", serve(`<a href="/file" download>file</a>`))
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="rows.csv"`)
		fmt.Fprint(w, "a,b\n1,2\n")
	})
	tab := Serve(t, mux, Look{})
	tab.Go("/")
	for range 2 {
		name, content := tab.Download(func() { tab.Click("a") })
		if name != "rows.csv" || string(content) != "a,b\n1,2\n" {
			t.Errorf("downloaded %s with %q", name, content)
		}
	}
}
