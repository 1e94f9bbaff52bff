package login

import "net/http"

// FromAnotherSite reports whether a browser says that a page of another site
// had it send the request: a link there, a picture, a script. What somebody
// opens by itself, and what programs send, is not. Browsers say so by HTTPS and
// to localhost.
func FromAnotherSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return true
}
