package dashboard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/admission"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// A page of somebody who has as many questions waiting as may says so, when to
// come back, and leads to itself; when the others are through, it answers.
func TestListSaysBusy(t *testing.T) {
	gate := admission.NewGate(admission.MinAtOnce, nil)
	b := world.NewBrowserOver(t, admission.NewStore(world.Store, gate))
	b.Login(t, world.Tokens[everywhere], "")
	const address = listPath + "?actor=alice"
	if got := b.Get(t, address); got.Status != http.StatusOK {
		t.Fatalf("status %d before all places are taken: %s", got.Status, got.Body)
	}

	ctx, cancel := context.WithCancel(admission.With(t.Context(), admission.User("system:serviceaccount:default:"+webtest.Everywhere)))
	defer cancel()
	leave, err := gate.Enter(ctx) // the one place of a caller's
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, admission.WaitingEach+1)
	for range admission.WaitingEach + 1 {
		go func() {
			leave, err := gate.Enter(ctx)
			if err == nil {
				leave()
			}
			ended <- err
		}()
	}
	if err := <-ended; err == nil { // one is too many, so that the line is full
		t.Fatal("a read ran where the caller's place is taken")
	}

	got := b.Get(t, address)
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "5" {
		t.Errorf("status %d, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
	}
	for _, part := range []string{"Too many questions at once", "Try again shortly", `<a class="button primary" href="` + address + `">Try again</a>`} {
		if !strings.Contains(got.Body, part) {
			t.Errorf("the page lacks %q:\n%s", part, got.Body)
		}
	}

	leave()
	for range admission.WaitingEach {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Get(t, address); got.Status != http.StatusOK {
		t.Errorf("status %d when the line is empty: %s", got.Status, got.Body)
	}
}
