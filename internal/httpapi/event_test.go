package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/snapshot"
)

type event struct {
	snapshot.Record
	Raw jsontext.Value `json:"raw"`
}

// Every user at every kind of event. What a user may not see looks like what
// does not exist.
func TestEvent(t *testing.T) {
	p := newPrograms(t)
	absent := map[string]string{}
	for _, user := range []string{everywhere, inShop, inBoth, nobody} {
		absent[user] = p.get(t, user, list+"/"+strings.Repeat("0", 32)).Body
	}
	for _, tt := range []struct {
		user, key, query string
		status           int
	}{
		{everywhere, "shop-app", "", 200},
		{everywhere, "foreign", "?namespace=shop", 200},
		{everywhere, "cluster", "", 200},
		{inShop, "shop-app", "", 200},
		{inShop, "shop-app", "?namespace=shop", 200},
		{inShop, "shop-app", "?namespace=", 200},
		{inShop, "shop-app", "?namespace=billing", 404},
		{inShop, "billing", "", 404},
		{inShop, "billing", "?namespace=shop", 404},
		{inShop, "foreign", "?namespace=shop", 404},
		{inShop, "cluster", "?namespace=-", 404},
		{inBoth, "billing", "", 200},
		{inBoth, "billing", "?namespace=shop&namespace=billing", 200},
		{inBoth, "hostile", "", 404},
		{nobody, "shop-app", "", 404},
		{nobody, "shop-app", "?namespace=shop", 404},
		{"", "shop-app", "", 401},
	} {
		path := list + "/" + world.Events[tt.key].ID.String() + tt.query
		answer := p.get(t, tt.user, path)
		switch tt.status {
		case http.StatusOK:
			got := decode[event](t, answer)
			if keys := keysOf(t, []snapshot.Record{got.Record}); len(keys) != 1 || keys[0] != tt.key || got.Raw != nil {
				t.Errorf("%s, %s%s: %+v", tt.user, tt.key, tt.query, got)
			}
		case http.StatusUnauthorized:
			wantProblem(t, answer, tt.status, "unauthenticated")
		default:
			wantProblem(t, answer, tt.status, "not-found")
			if answer.Body != absent[tt.user] {
				t.Errorf("%s, %s%s: what is forbidden does not look like what is absent: %s", tt.user, tt.key, tt.query, answer.Body)
			}
		}
	}
}

func TestRawEvent(t *testing.T) {
	p := newPrograms(t)
	path := list + "/" + world.Events["shop-app"].ID.String()
	if got := decode[event](t, p.get(t, inShop, path+"?raw=true")); string(got.Raw) != `{"secretOf":"shop-app"}` {
		t.Errorf("raw: %s", got.Raw)
	}
	for query, parameter := range map[string]string{"raw=yes": "raw", "count=true": "count", "actor=a": "actor"} {
		got := wantProblem(t, p.get(t, inShop, path+"?"+query), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", query, got)
		}
	}
	for _, id := range []string{"x", strings.ToUpper(strings.Repeat("a", 32)), "%00", "%2e%2e", "<script>"} {
		wantProblem(t, p.get(t, everywhere, list+"/"+id), http.StatusNotFound, "not-found")
	}
}
