package web

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"

	"github.com/porter-dev/audit-operator/internal/login"
)

// jitter is by how many bytes at most the length of a compressed answer is
// made to depend on chance.
const jitter = 128

// compressed compresses pages and JSON. What is sent row by row, exports and
// snapshots, has other types and goes through at once; assets are compressed
// already.
//
// The length of what is compressed tells an eavesdropper who gets a guess into
// a page whether the guess stands there a second time (BREACH). No page holds a
// secret of the session to guess: the cookie stays in its header, and forms have
// no token, because CrossOriginProtection goes by headers. But events are
// secret too. So another site gets a reader's browser to fetch nothing that is
// compressed, unless by a click of the reader's for each; and jitter blurs what
// lengths are left to see.
func compressed(next http.Handler) (http.Handler, error) {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.ContentTypes([]string{"text/html", "application/json", "application/problem+json"}),
		gzhttp.EnableZstd(false), // saves little more, and takes megabytes for each answer
		gzhttp.RandomJitter(jitter, 0, false),
	)
	if err != nil {
		return nil, err
	}
	zipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if guessable(r) {
			w.Header().Add("Vary", "Accept-Encoding")
			next.ServeHTTP(w, r)
			return
		}
		zipped(w, r)
	}), nil
}

// guessable reports whether another site may have made a browser send the
// request, as often as it likes. What people click on is a document of its own.
func guessable(r *http.Request) bool {
	clicked := r.Header.Get("Sec-Fetch-User") == "?1" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return login.FromAnotherSite(r) && !clicked
}
