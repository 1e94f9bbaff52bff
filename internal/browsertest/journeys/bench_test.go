package journeys

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

var benchmarkEvents = flag.Int("events", 100_000, "how many events BenchmarkPages shows")

var (
	nextLink  = regexp.MustCompile(`href="([^"]+)" rel="next"`)
	eventLink = regexp.MustCompile(`[?;]event=([0-9a-f]{32})`)
)

// BenchmarkPages measures the time that the server takes for a page, from the
// request to the last byte, with a signed-in caller's rights known: who is
// asked about and what is shown comes from the real handler over a week of
// events that ends now. It reports the median and the 95th percentile.
func BenchmarkPages(b *testing.B) {
	s, err := embedded.Open(b.Context(), embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	began := time.Now()
	if err := storetest.Fill(b.Context(), s, *benchmarkEvents, began, func(int64) {}); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d events were stored in %s", *benchmarkEvents, time.Since(began).Round(time.Second))
	h := world.Handler(b, s, false)
	cookie := session(b, h)
	get := func(b *testing.B, path string, fragment bool) string {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		r.Header.Set("Cookie", cookie)
		if fragment {
			r.Header.Set("HX-Request", "true")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%s answers %d: %.300s", path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	found := func(b *testing.B, page string, link *regexp.Regexp) string {
		m := link.FindStringSubmatch(page)
		if m == nil {
			b.Fatalf("the page has no %s", link)
		}
		return strings.ReplaceAll(m[1], "&amp;", "&")
	}
	first := get(b, entrance, false)
	next, event := found(b, first, nextLink), found(b, first, eventLink)

	for _, bm := range []struct {
		name     string
		fragment bool
		paths    []string // taken in turn, so that each differs from the one before
	}{
		{"defaultView", false, []string{entrance}},
		{"filterChange", true, []string{
			list + "?method=POST&method=PATCH", list + "?method_exclude=GET&resource_type=application&resource_type=environment_group",
			list + "?status_code=4xx&status_code=5xx", list + "?client=cli", list + "?method_exclude=GET&namespace=team-7", list + "?method=DELETE",
			list + "?method_exclude=GET&actor=system%3Aserviceaccount%3A*", list + "?method_exclude=GET&range=last_24_hours", list + "?method_exclude=GET&range=last_hour",
		}},
		{"withoutFilters", true, []string{list}},
		{"search", true, []string{list + "?method_exclude=GET&search=deployment-77", list + "?method_exclude=GET&search=team-3", list + "?method_exclude=GET&search=nobody"}},
		{"nextPage", true, []string{next}},
		{"menuActor", true, []string{list + "/values/actor?method_exclude=GET"}},
		{"menuAction", true, []string{list + "/values/action?method_exclude=GET"}},
		{"menuIP", true, []string{list + "/values/ip?method_exclude=GET"}},
		{"menuStatus", true, []string{list + "/values/status_code?method_exclude=GET"}},
		{"menuResourceType", true, []string{list + "/values/resource_type?method_exclude=GET"}},
		{"menuActorTyped", true, []string{list + "/values/actor?method_exclude=GET&contains=controller-3"}},
		{"drawer", true, []string{events + event}},
		{"drawerInPage", false, []string{entrance + "&event=" + event}},
		{"event", false, []string{events + event}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var took []time.Duration
			size, i := 0, 0
			for b.Loop() {
				began := time.Now()
				size = len(get(b, bm.paths[i%len(bm.paths)], bm.fragment))
				took = append(took, time.Since(began))
				i++
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(size)/1024, "KiB")
		})
	}
}

// session signs in and returns the cookies of it.
func session(b *testing.B, h http.Handler) string {
	form := url.Values{"token": {world.Tokens[webtest.Everywhere]}}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/login", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther {
		b.Fatalf("the log-in answers %d", w.Code)
	}
	var cookies []string
	for _, c := range w.Result().Cookies() {
		cookies = append(cookies, fmt.Sprintf("%s=%s", c.Name, c.Value))
	}
	return strings.Join(cookies, "; ")
}
