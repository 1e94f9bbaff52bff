package journeys

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

var assetLink = regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`)

// What browsers load once, style, scripts and icon, takes less than 50 KB.
func TestFirstLoad(t *testing.T) {
	b := world.NewBrowserOver(t, newWeek(t))
	if got := b.Login(t, world.Tokens[webtest.Everywhere], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("the log-in answered %d", got.Status)
	}
	assets, seen := 0, map[string]bool{}
	page := b.Get(t, entrance)
	for _, m := range assetLink.FindAllStringSubmatch(page.Body, -1) {
		if seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		answer := b.Do(t, http.MethodGet, m[1], nil, http.Header{"Accept-Encoding": {"gzip"}})
		if answer.Status != http.StatusOK || answer.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s answers %d, encoded as %q", m[1], answer.Status, answer.Header.Get("Content-Encoding"))
		}
		assets += len(answer.Body)
	}
	t.Logf("the page has %d bytes, its %d assets %d", len(page.Body), len(seen), assets)
	if len(seen) < 4 {
		t.Errorf("the page names the assets %v, want style, scripts and icon", seen)
	}
	if assets > 50_000 {
		t.Errorf("the assets take %d bytes", assets)
	}
}
