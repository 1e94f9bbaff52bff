// Package storeurl reads what --store may say: that the embedded store is meant,
// or the URL of a database. A URL may hold a password, so that no message quotes
// one.
package storeurl

import (
	"errors"
	"strings"
)

// Embedded is the --store that is a folder.
const Embedded = "embedded"

// IsDatabase reports whether a --store is PostgreSQL.
func IsDatabase(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

var errNeither = errors.New("give embedded, or the URL of a database, like postgres://audit@db.example.com/audit")

// Validate says what is allowed where store is neither. What else is wrong with
// a URL is said when it is opened.
func Validate(store string) error {
	if store != Embedded && !IsDatabase(store) {
		return errNeither
	}
	return nil
}

// Redact returns arguments as a message may quote them.
func Redact(args []string) []string {
	var out []string
	for _, arg := range args {
		if scheme, _, ok := strings.Cut(arg, "://"); ok {
			arg = scheme + "://…"
		}
		out = append(out, arg)
	}
	return out
}
