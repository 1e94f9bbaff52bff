package auth_test

import (
	"errors"
	"testing"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// A namespace is asked about by its name, however a filter writes it. One that
// a request called - is nobody's but who may see everything.
func TestScopeOfLiteralNamespaces(t *testing.T) {
	_, client := apiServer(t)
	user := person("literal@example.com")
	grant(t, client, "User", user.Name, "a", "audit-reader")
	await(t, client, user, "a")
	a := auth.New(client, options())
	got, err := a.Scope(t.Context(), user, "=a")
	if err != nil || !got.Equal(sinceLongAgo("a")) {
		t.Errorf("Scope(=a) = %+v, %v; want that of a", got, err)
	}
	for _, namespace := range []string{"-", "=-", "==a", "=", "=*", "*"} {
		if got, err := a.Scope(t.Context(), user, namespace); !errors.Is(err, auth.ErrForbidden) || !got.IsZero() {
			t.Errorf("Scope(%s) = %+v, %v; want ErrForbidden", namespace, got, err)
		}
	}
}
