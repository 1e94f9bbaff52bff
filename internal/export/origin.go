package export

import (
	"errors"
	"net/http"
)

// ErrCrossSite means that a page of another site had a browser ask for a file.
var ErrCrossSite = errors.New("a page of another site asks for a file")

// ofThisSite fails with ErrCrossSite for a request that another site's page
// made a browser send: it would have the server work, and be recorded, in the
// name of somebody who meant nothing. What a browser opens by itself, and what
// programs send, is let through; they say "none" or nothing.
//
// It does not look at how the caller is known. A page can't send another site a
// bearer token, so one that comes with such a request was added on the way, by
// a proxy that takes the browser's cookie for it.
func ofThisSite(r *http.Request) error {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return nil
	}
	return ErrCrossSite
}
