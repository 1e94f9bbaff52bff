package dashboard_test

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// ahead is a store whose sources' clocks are ahead by so much.
type ahead struct {
	store.Store
	skews map[string]time.Duration
}

func (a ahead) Skews(context.Context) (map[string]time.Duration, error) { return a.skews, nil }

// A range that ends now says so where a source's clock is ahead, and leads to
// what it lacks; to who may not see every source it names none.
func TestListSaysSkew(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	e := someEvent(-90 * time.Second)
	e.Namespace, e.Raw = "shop", []byte("{}")
	if _, err := s.Append(t.Context(), store.Batch{Source: "edge", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`<a href="([^"]+)">Show that too`)
	for _, tt := range []struct {
		name  string
		skews map[string]time.Duration
		says  bool
	}{
		{"none is known", nil, false},
		{"within bounds", map[string]time.Duration{"edge": store.MaxSkewAhead}, false},
		{"behind", map[string]time.Duration{"edge": -time.Hour}, false},
		{"ahead", map[string]time.Duration{"other": time.Second, "edge": 90 * time.Second}, true},
	} {
		b := world.NewBrowserOver(t, ahead{s, tt.skews})
		for user, names := range map[string]bool{everywhere: true, inShop: false} {
			b.Login(t, world.Tokens[user], "")
			answer := b.Get(t, listPath+"?namespace=shop&range=last_hour")
			if answer.Status != http.StatusOK || strings.Contains(answer.Body, "is ahead by about 1m30s") != tt.says || strings.Contains(answer.Body, "<b>edge</b>") != (tt.says && names) {
				t.Errorf("%s, %s: status %d: %s", tt.name, user, answer.Status, answer.Body)
			}
			if !tt.says {
				continue
			}
			if !strings.Contains(answer.Body, "<strong>0</strong>") {
				t.Errorf("%s: the event of a clock that is ahead is within the last hour", tt.name)
			}
			if wide := b.Get(t, html.UnescapeString(link.FindStringSubmatch(answer.Body)[1])); !strings.Contains(wide.Body, "<strong>1</strong>") || strings.Contains(wide.Body, "is ahead by about") {
				t.Errorf("%s: the link shows %s", tt.name, wide.Body)
			}
		}
	}
}
