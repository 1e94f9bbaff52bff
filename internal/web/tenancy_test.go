package web_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// TestTenancy asks at every door as every caller about every namespace. Each
// cell expects the status, the exact counts, all that the caller may see and
// not one byte of anything else, by the rules in docs/operations/rights.md, which
// callers and selections above say again in their own words.
func TestTenancy(t *testing.T) {
	everyone := callers(t)
	total := 0
	for name, open := range map[string]func(*testing.T) store.Store{
		"embedded": func(t *testing.T) store.Store { return embeddedtest.Open(t, embedded.Options{}) },
		"PostgreSQL": func(t *testing.T) store.Store {
			url := postgrestest.Shared(t).Database(t)
			if err := postgres.Migrate(t.Context(), url, logr.Discard()); err != nil {
				t.Fatal(err)
			}
			s, err := postgres.Open(t.Context(), postgres.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &matrix{holdings: fill(t, open(t))}
			server := httptest.NewServer(world.Handler(t, m.store, false))
			defer server.Close()
			m.server = server
			for _, c := range everyone {
				t.Run(c.name, func(t *testing.T) { m.ask(t, c) })
			}
			t.Logf("%d cells: %d callers, %d namespaces or lists of them, %d doors to many events and %d to one thing, %d things, %d questions about others' values",
				m.cells, len(everyone), len(selections), len(listings()), len(items()), len(realms)+len(m.snapshots)+1, len(oracles()))
			total += m.cells
		})
	}
	if !t.Failed() && total < 500 {
		t.Errorf("%d cells, want 500 at least", total)
	}
	t.Logf("%d cells in all", total)
}

type matrix struct {
	*holdings
	server *httptest.Server
	cells  int
}

// visitor is a caller with its browser.
type visitor struct {
	*caller
	browser *webtest.Browser
}

// visit opens a browser. Sessions begin at the log-in page as anyone's do.
func (m *matrix) visit(t *testing.T, c *caller) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{c, &webtest.Browser{Base: m.server.URL, Client: &http.Client{
		Transport: m.transport(c.from), Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}}
	if c.cookie {
		if got := v.browser.Login(t, c.token, ""); got.Status != http.StatusSeeOther {
			t.Fatalf("the log-in answered %d", got.Status)
		}
	}
	return v
}

// transport connects from an address, if one is given.
func (m *matrix) transport(from string) http.RoundTripper {
	if from == "" {
		return m.server.Client().Transport
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
}

// send knocks at a door.
func (v *visitor) send(t *testing.T, req request) webtest.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), req.method, v.browser.Base+req.path, strings.NewReader(req.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if req.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if v.token != "" && !v.cookie {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	maps.Copy(r.Header, v.header)
	maps.Copy(r.Header, req.header)
	resp, err := v.browser.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", req.path, err)
	}
	maps.Copy(resp.Header, resp.Trailer)
	return webtest.Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
}

// readOn asks at a door until there is no more, and returns all of it as one
// answer.
func (v *visitor) readOn(t *testing.T, door *listing, req request) webtest.Answer {
	t.Helper()
	got := v.send(t, req)
	for last, more := got, door.more != nil; more; {
		if req, more = door.more(req, last); more {
			last = v.send(t, req)
			got.Status, got.Body = max(got.Status, last.Status), got.Body+last.Body
		}
	}
	return got
}

// ask asks at every door as one caller.
func (m *matrix) ask(t *testing.T, c *caller) {
	v := m.visit(t, c)
	for _, door := range listings() {
		for i := range selections {
			if req, ok := door.request(&selections[i], m.holdings); ok {
				m.askListing(t, v, door, &selections[i], req)
			}
		}
	}
	for _, door := range items() {
		m.askItems(t, v, door)
	}
	m.askOracles(t, v)
}

func (m *matrix) askListing(t *testing.T, v *visitor, door *listing, s *selection, req request) {
	m.cell(t, door.name+", "+s.name, func(t *testing.T) {
		got := v.readOn(t, door, req)
		scope, may := v.scope(s.named)
		if all, ok := v.scope(nil); door.wide && ok {
			scope, may = all, true
		}
		matches := door.matches
		if matches == nil {
			matches = func(s *selection, r *realm) bool { return s.matches(r, door.counted) }
		}
		var readable []*realm // whatever was asked for
		if v.known && may {
			readable = those(realms, scope)
		}
		seen := those(readable, func(r *realm) bool { return matches(s, r) })
		mayBeShown := seen
		if door.rights {
			mayBeShown = readable
		}
		v.checkForeign(t, req, got, mayBeShown)
		switch {
		case !v.known:
			v.checkUnknown(t, got, door.page)
		case !may:
			want := door.forbidden
			if want == 0 {
				want = http.StatusForbidden
			}
			if got.Status != want {
				t.Errorf("status %d, want %d", got.Status, want)
			}
		case door.refuses && got.Status == http.StatusBadRequest:
		case got.Status != http.StatusOK:
			t.Errorf("status %d, want 200: %.300s", got.Status, got.Body)
		case door.check != nil:
			door.check(t, got, seen, m.holdings)
		}
		if door.emptiness && got.Status == http.StatusOK && strings.Contains(got.Body, "No events yet") != (len(readable) == 0) {
			t.Errorf("the page says that there are no events at all, or does not, where the caller may read %d realms", len(readable))
		}
	})
}

// askItems asks for each thing as its links do, and in ways that no link does.
func (m *matrix) askItems(t *testing.T, v *visitor, door *item) {
	type thing struct {
		realm *realm // nil for one of everything
		id    string
		none  bool
	}
	things := []thing{{none: true, id: strings.Repeat("0", 32)}} // first: what is not there
	if door.snapshot {
		for _, s := range m.snapshots {
			things = append(things, thing{realm: s.realm, id: s.ID})
		}
	} else {
		for _, r := range realms {
			things = append(things, thing{realm: r, id: m.newest[r].String()})
		}
	}
	for _, named := range [][]string{nil, {"qshop"}, {"qbilling"}, {"qshop", "qbilling"}, {"qgone"}, {query.NoNamespace}, {"qnever"}, {"*"}} {
		var absent webtest.Answer
		for _, th := range things {
			values := url.Values{}
			if len(named) > 0 {
				values["namespace"] = named
			}
			req := door.request(th.id, values)
			m.cell(t, fmt.Sprintf("%s, %v of %q", door.name, th.realm.label(), named), func(t *testing.T) {
				got := v.send(t, req)
				scope, may := v.scope(named)
				shown := v.known && may && !th.none && (v.everything || th.realm != nil && scope(th.realm))
				var seen []*realm // besides the thing: what has its audit ID
				if shown {
					seen = those(realms, scope)
				}
				v.checkForeign(t, req, got, seen)
				switch {
				case !v.known:
					v.checkUnknown(t, got, door.page)
				case shown:
					if got.Status != http.StatusOK || th.realm != nil && !strings.Contains(got.Body, th.realm.mark) {
						t.Errorf("status %d, want the thing: %.300s", got.Status, got.Body)
					}
					if strings.HasPrefix(door.name, "event page") || strings.HasPrefix(door.name, "event drawer") {
						checkMarks(t, got, seen) // the same request's
					}
				case got.Status != http.StatusNotFound:
					t.Errorf("status %d, want 404", got.Status)
				case th.none:
					absent = got
				default:
					// Not told from what does not exist, by any byte.
					if diff := cmp.Diff(tellable(absent), tellable(got)); diff != "" {
						t.Errorf("what may not be seen is not like what is not there (-there, +seen):\n%s", diff)
					}
				}
			})
		}
	}
}

// label names a realm in a test's name.
func (r *realm) label() string {
	if r == nil {
		return "of all or nothing"
	}
	return r.mark
}

// tellable is all of an answer but when it was given.
func tellable(a webtest.Answer) webtest.Answer {
	a.Header = a.Header.Clone()
	a.Header.Del("Date")
	return a
}

// askOracles asks for values of what the caller may not see: the answer must be
// that to a value that no event has.
func (m *matrix) askOracles(t *testing.T, v *visitor) {
	if !v.known {
		return
	}
	scope, may := v.scope(nil)
	for _, question := range oracles() {
		ask := func(t *testing.T, about string) webtest.Answer {
			got := v.send(t, request{method: http.MethodGet, path: fmt.Sprintf(question.path, about)})
			got.Body = moments.ReplaceAllString(strings.ReplaceAll(got.Body, about, "<it>"), "<time>")
			got.Header.Del("Content-Length") // times have lengths of their own
			return tellable(got)
		}
		about := func(r *realm) string {
			switch {
			case !question.byID:
				return r.mark
			case r.n == 0:
				return strings.Repeat("0", 32)
			}
			return m.newest[r].String()
		}
		var want webtest.Answer
		m.cell(t, question.path+" of nothing", func(t *testing.T) { want = ask(t, about(&realm{mark: absent})) })
		for _, r := range realms {
			if may && scope(r) {
				continue
			}
			m.cell(t, question.path+" of "+r.mark, func(t *testing.T) {
				got := ask(t, about(r))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("what may not be seen can be asked for (-of nothing, +of it):\n%s", diff)
				}
			})
		}
	}
}

// moments are times as pages and programs write them, to the microsecond, and
// what is made of them: cursors, and places in charts.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|%3A\d\d\.?\d*Z)?|\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d(\.\d+)?Z|cursor=[\w-]+|[\d.]+%"|"next":"[\w-]+"`)

// names are the realms' namespaces as words of their own.
var names = regexp.MustCompile(`qshop-two|qshop|qbilling|qpayroll|qgone|qeast`)

// checkForeign expects that no answer holds anything of others: no mark of
// another realm, no address of its block, and no namespace's name that the caller
// neither sent nor has a right to.
func (v *visitor) checkForeign(t *testing.T, req request, got webtest.Answer, seen []*realm) {
	t.Helper()
	whole := fmt.Sprint(got.Header, "\n", got.Body)
	for _, r := range realms {
		if slices.Contains(seen, r) {
			continue
		}
		for what, text := range map[string]string{"mark": r.mark, "address": r.block()} {
			if strings.Contains(whole, text) {
				t.Errorf("the answer (%d) holds the %s of %s:\n%.600s", got.Status, what, r.mark, around(whole, text))
			}
		}
	}
	sent, err := url.QueryUnescape(req.path)
	if err != nil {
		t.Fatal(err)
	}
	sent += req.body
	for _, name := range names.FindAllString(whole, -1) {
		known := v.everything || slices.Contains(v.namespaces, name) || slices.Contains(names.FindAllString(sent, -1), name)
		if !known {
			t.Errorf("the answer (%d) names %s:\n%.600s", got.Status, name, around(whole, name))
			return
		}
	}
	if cache := got.Header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control is %q, want no-store", cache)
	}
	if tag := got.Header.Get("ETag") + got.Header.Get("Last-Modified"); tag != "" {
		t.Errorf("the answer can be asked for by its version: %s", tag)
	}
}

func around(whole, text string) string {
	i := strings.Index(whole, text)
	return whole[max(0, i-200):min(len(whole), i+200)]
}

// checkUnknown expects that nobody learns more than that it must sign in.
func (v *visitor) checkUnknown(t *testing.T, got webtest.Answer, page bool) {
	t.Helper()
	switch {
	case got.Status == http.StatusUnauthorized && got.Header.Get("WWW-Authenticate") != "":
	case page && v.token == "" && got.Status == http.StatusSeeOther && strings.HasPrefix(got.Header.Get("Location"), "/login"):
	default:
		t.Errorf("status %d, want to be sent to sign in", got.Status)
	}
}

// cell is one of the matrix.
func (m *matrix) cell(t *testing.T, name string, check func(*testing.T)) {
	t.Helper()
	m.cells++
	t.Run(name, check)
}
