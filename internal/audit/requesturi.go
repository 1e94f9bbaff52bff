package audit

import (
	"net/url"
	"strings"
)

// requestPlace is what requestURI says about a request.
type requestPlace struct {
	path      string
	namespace string
	query     string
}

// parseRequestURI reads the path as the API server's own request resolver does:
// /api/<version>/… or /apis/<group>/<version>/…, then perhaps watch, then
// perhaps namespaces/<name>.
func parseRequestURI(uri string) requestPlace {
	path, query, _ := strings.Cut(uri, "?")
	if !isPlainPath(path) || containsControl(query) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return requestPlace{}
		}
		path, query = u.Path, u.RawQuery
	}
	return requestPlace{path: path, namespace: namespaceOf(path), query: query}
}

// isPlainPath reports whether a path is what net/url would take it for.
func isPlainPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "%") && !containsControl(path)
}

func containsControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

func namespaceOf(path string) string {
	part, rest, more := strings.Cut(strings.Trim(path, "/"), "/")
	skipped := 0 // parts before the resource
	switch part {
	case "api":
		skipped = 2
	case "apis":
		skipped = 3
	default:
		return ""
	}
	for ; skipped > 0; skipped-- {
		if !more {
			return ""
		}
		part, rest, more = strings.Cut(rest, "/")
	}
	if (part == "watch" || part == "proxy") && more {
		part, rest, more = strings.Cut(rest, "/")
	}
	if part != "namespaces" || !more {
		return ""
	}
	namespace, _, _ := strings.Cut(rest, "/")
	return namespace
}
