package journeys

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

var assetLink = regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)

// meter is a listener that counts what its server sends.
type meter struct {
	net.Listener
	sent atomic.Int64
}

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	return metered{c, m}, err
}

type metered struct {
	net.Conn
	m *meter
}

func (c metered) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.m.sent.Add(int64(n))
	return n, err
}

// firstLoad is what the first load may take on the wire, in bytes: the page,
// what its scripts fetch, assets and headers.
const firstLoad = 100_000

// The list is there for less than 100 KB, by a browser that has seen nothing of
// the dashboard: the log-in page comes with it.
func TestFirstLoad(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{Listener: listener}
	server := &httptest.Server{Listener: m, Config: &http.Server{Handler: world.Handler(t, newWeek(t), false)}} //nolint:gosec // of a test
	server.Start()
	t.Cleanup(server.Close)
	tab := browsertest.Open(t, server.URL, browsertest.Look{})
	tab.SignIn(world.Tokens[webtest.Everywhere], entrance)
	tab.Await("everything is there", `document.readyState === "complete" && document.querySelectorAll("table.events tbody tr").length > 10`)
	withLogin := m.sent.Load()

	// The same by hand, to see what is what and that all of it is compressed.
	b := webtest.BrowserAt(t, server.URL)
	if got := b.Login(t, world.Tokens[webtest.Everywhere], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("the log-in answered %d", got.Status)
	}
	transferred := func(path string) (int, string) {
		t.Helper()
		answer := b.Do(t, http.MethodGet, path, url.Values(nil), http.Header{"Accept-Encoding": {"gzip, deflate, br, zstd"}})
		if answer.Status != http.StatusOK || answer.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(strings.Join(answer.Header["Vary"], ","), "Accept-Encoding") {
			t.Errorf("%s answers %d, %v", path, answer.Status, answer.Header)
		}
		return len(answer.Body), answer.Body
	}
	page, _ := transferred(entrance)
	plain := b.Do(t, http.MethodGet, entrance, nil, http.Header{"Accept-Encoding": {"identity"}})
	assets, seen := 0, map[string]bool{}
	for _, link := range assetLink.FindAllStringSubmatch(plain.Body, -1) {
		if !seen[link[1]] {
			seen[link[1]] = true
			size, _ := transferred(link[1])
			assets += size
		}
	}
	t.Logf("the browser was sent %d bytes; the page has %d, compressed %d, its %d assets %d", withLogin, len(plain.Body), page, len(seen), assets)
	if len(seen) < 4 {
		t.Errorf("the page names the assets %v, want style, scripts and icon", seen)
	}
	if withLogin < int64(page+assets) || withLogin > firstLoad {
		t.Errorf("the first load takes %d bytes, of which the page and its assets are %d; want %d at most", withLogin, page+assets, firstLoad)
	}
}
