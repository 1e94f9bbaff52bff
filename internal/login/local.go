package login

import (
	"net/url"
	"path"
	"strings"
)

// Local reports whether an address is that of a page here. Everything that a
// browser could read as another site's is not.
func Local(address string) bool {
	for _, c := range address {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Path == "" {
		return false
	}
	if !strings.HasPrefix(address, "/") || strings.ContainsRune(u.Path, '\\') || path.Clean(u.Path) != u.Path {
		return false
	}
	return u.Path == "/" || strings.HasPrefix(u.Path, "/security/")
}
