package export

import (
	"errors"
	"net/http"

	"github.com/porter-dev/audit-operator/internal/login"
)

// ErrCrossSite means that a page of another site had a browser ask for a file.
var ErrCrossSite = errors.New("a page of another site asks for a file")

// ofThisSite fails with ErrCrossSite for a request that would have the server
// work, and be recorded, in the name of somebody who meant nothing.
//
// It does not look at how the caller is known. A page can't send another site a
// bearer token, so one that comes with such a request was added on the way, by
// a proxy that takes the browser's cookie for it.
func ofThisSite(r *http.Request) error {
	if login.FromAnotherSite(r) {
		return ErrCrossSite
	}
	return nil
}
