package login

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/auth"
)

const (
	// reserved begins the names that Kubernetes gives out itself. One that came
	// from elsewhere would lend its owner the rights of a component, of a service
	// account, or of system:masters, who may do everything.
	reserved = "system:"

	nameMost   = 512 // bytes of a name
	groupsMost = 1000
)

// Refused says why a caller is not let in, in words for that caller. It is an
// auth.ErrUnauthenticated.
type Refused struct{ Reason string }

func (e *Refused) Error() string        { return e.Reason }
func (e *Refused) Is(target error) bool { return target == auth.ErrUnauthenticated }

// identity returns the user of a name and groups that came from elsewhere than
// the API server, or says why they are nobody's. The user is in no group of
// Kubernetes' own, not even in system:authenticated: who is known elsewhere
// gets what is bound to its name and groups, no more.
func identity(name string, groups []string) (auth.User, error) {
	if why := wrong(name); why != "" {
		return auth.User{}, &Refused{"The name that you were given " + why}
	}
	if len(groups) > groupsMost {
		return auth.User{}, &Refused{fmt.Sprintf("You were given more than %d groups.", groupsMost)}
	}
	for _, group := range groups {
		if why := wrong(group); why != "" {
			return auth.User{}, &Refused{"One of the groups that you were given " + why}
		}
	}
	groups = slices.Clone(groups)
	slices.Sort(groups)
	return auth.User{Name: name, Groups: slices.Compact(groups)}, nil
}

// wrong says what is wrong with a name, and nothing if it may be used.
func wrong(name string) string {
	switch {
	case strings.TrimSpace(name) == "":
		return "is empty."
	case strings.HasPrefix(name, reserved):
		return "begins with system:, which is for Kubernetes' own."
	case len(name) > nameMost:
		return fmt.Sprintf("is longer than %d bytes.", nameMost)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "holds characters that no name may hold."
	}
	return ""
}
