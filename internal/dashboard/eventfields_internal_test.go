package dashboard

import "testing"

func TestConstraintOf(t *testing.T) {
	for raw, want := range map[string]string{
		`{"authenticationMetadata":{"impersonationConstraint":"impersonate:user-info"}}`: "impersonate:user-info",
		`{"impersonatedUser":{"username":"bob"}}`:                                        "",
		`{"authenticationMetadata":{"impersonationConstraint":7}}`:                       "",
		``: "",
	} {
		if got := constraintOf([]byte(raw)); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
