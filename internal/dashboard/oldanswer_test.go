package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// An ID token that was issued long ago is refused, though the provider would
// let it live for longer; so is one of the future, and one that is over.
func TestAnswersOfAnotherTime(t *testing.T) {
	var c clock
	b, p := world.WithProvider(t, func(o *login.Options) { o.Now = c.now })
	for _, tt := range []struct {
		ahead time.Duration
		says  string // "" lets in
	}{
		{0, ""},
		{9 * time.Minute, ""},
		{11 * time.Minute, "of another time"},
		{-4 * time.Minute, ""},
		{-6 * time.Minute, "of another time"},
		{24 * time.Hour, "is over already"},
	} {
		c.set(tt.ahead)
		got := b.Get(t, p.SignIn(t, begin(t, b, "/"), webtest.Ada, webtest.Password))
		signedIn := strings.Contains(strings.Join(got.Header.Values("Set-Cookie"), "\n"), "audit-session=")
		switch {
		case tt.says == "" && (got.Status != http.StatusSeeOther || !signedIn):
			t.Errorf("%s ahead: answer %d: %s", tt.ahead, got.Status, alert(got.Body))
		case tt.says != "" && (got.Status != http.StatusUnauthorized || signedIn || !strings.Contains(got.Body, tt.says)):
			t.Errorf("%s ahead: answer %d: %s", tt.ahead, got.Status, alert(got.Body))
		}
	}
}
