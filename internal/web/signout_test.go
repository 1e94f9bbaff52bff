package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// silentSessions is a store that says nothing of sessions.
type silentSessions struct{ store.Sessions }

func (silentSessions) SessionEnded(context.Context, store.Session) (bool, error) {
	return false, errors.New("the list is away")
}

// A sign-out at one replica ends the session at every other, for a copy of its
// cookie too, and no other session of its owner. Where the list of those that
// were signed out can't be read, no session is good.
func TestSignOut(t *testing.T) {
	two := httptest.NewServer(world.Handler(t, world.Store, false))
	defer two.Close()
	one := world.As(t, webtest.InShop)
	other := world.As(t, webtest.InShop)
	silent := httptest.NewServer(world.HandlerWith(t, world.Store, func(o *login.Options) { o.Sessions = silentSessions{world.Store} }))
	defer silent.Close()

	base, err := url.Parse(one.Base)
	if err != nil {
		t.Fatal(err)
	}
	cookies := one.Jar.Cookies(base)
	with := func(base string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/audit-logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if here, there, away := with(one.Base), with(two.URL), with(silent.URL); here != http.StatusOK || there != http.StatusOK || away != http.StatusServiceUnavailable {
		t.Errorf("before: %d here, %d at another replica, %d without the list", here, there, away)
	}
	if got := one.Do(t, http.MethodPost, "/logout", url.Values{}, nil); got.Status != http.StatusSeeOther {
		t.Errorf("the sign-out answers %d", got.Status)
	}
	if here, there := with(one.Base), with(two.URL); here != http.StatusUnauthorized || there != http.StatusUnauthorized {
		t.Errorf("after the sign-out a copy of the cookie gets %d here and %d at another replica", here, there)
	}
	if got := other.Do(t, http.MethodGet, "/api/v1/audit-logs", nil, nil); got.Status != http.StatusOK {
		t.Errorf("another session of the same person gets %d", got.Status)
	}
}
