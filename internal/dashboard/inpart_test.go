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
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// countingViews counts the views that are asked for.
type countingViews struct {
	store.Store
	views *int
}

func (c countingViews) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	*c.views++
	return c.Store.View(ctx, scope, req)
}

// cutStore returns a store of three events of alice, of which the last two were
// cut: one in shop, one in billing.
func cutStore(t *testing.T) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	batch := store.Batch{Source: "s", ReceivedAt: time.Now()}
	for i, namespace := range []string{"shop", "shop", "billing"} {
		e := someEvent(time.Hour)
		e.ID = audit.ID{byte(i + 1)}
		e.Namespace, e.Path, e.Actor, e.Truncated, e.Raw = namespace, "/api/v1/pods", "alice", i > 0, []byte("{}")
		batch.Events = append(batch.Events, e)
	}
	if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	return s
}

// A search says how many events of the caller's it could not see all of, and
// leads to them. Without a search nothing is counted a second time.
func TestListSaysSearchedInPart(t *testing.T) {
	var views int
	b := world.NewBrowserOver(t, countingViews{cutStore(t), &views})
	note := regexp.MustCompile(`(?s)<p class="note in-part">(.*?) <a href="([^"]+)">`)
	for _, tt := range []struct{ user, question, says, link string }{
		{everywhere, "", "", ""},
		{everywhere, "?actor=alice", "", ""},
		{everywhere, "?search=pods&truncated=false", "", ""},
		{everywhere, "?search=pods&actor=bob", "", ""},
		{everywhere, "?search=zebra", "2 truncated events were searched only in part: ", "?truncated=true"},
		{everywhere, "?search=PODS&actor=alice", "2 truncated events were searched only in part: ", "?actor=alice&truncated=true"},
		{everywhere, "?search=pods&namespace=billing", "1 truncated event was searched only in part: ", "?namespace=billing&truncated=true"},
		{inShop, "?search=pods&namespace=shop", "1 truncated event was searched only in part: ", "?namespace=shop&truncated=true"},
	} {
		b.Login(t, world.Tokens[tt.user], "")
		views = 0
		answer := b.Get(t, listPath+tt.question)
		if answer.Status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", tt.question, answer.Status, answer.Body)
		}
		if !strings.Contains(tt.question, "search") && views != 1 {
			t.Errorf("%q asks the store for %d views, want 1", tt.question, views)
		}
		var says, link string
		if found := note.FindStringSubmatch(answer.Body); found != nil {
			says, link = found[1], html.UnescapeString(found[2])
		}
		if (tt.says == "") != (says == "") || !strings.HasPrefix(says, tt.says) {
			t.Errorf("%s, %q: the list says %q, want %q", tt.user, tt.question, says, tt.says)
		}
		if tt.link == "" {
			continue
		}
		if link != listPath+tt.link {
			t.Errorf("%s, %q: the link is %q, want %q", tt.user, tt.question, link, listPath+tt.link)
			continue
		}
		count := "<strong>" + tt.says[:1] + "</strong>"
		if got := b.Get(t, link); got.Status != http.StatusOK || !strings.Contains(got.Body, count) || note.MatchString(got.Body) {
			t.Errorf("%s, %q: the link answers %d, and not the %s events: %s", tt.user, tt.question, got.Status, tt.says[:1], got.Body)
		}
	}
}
