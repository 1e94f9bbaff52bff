package dashboard

import (
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/problem"
)

// Bounds of what a page holds, whatever events and addresses hold.
const (
	// maxPage is the most bytes of HTML.
	maxPage = 2 << 20
	// maxAddress is the most bytes of a query string, which many links repeat.
	maxAddress = 16 << 10
	// maxLinks is the most bytes of the links of one kind, such as those of the
	// bars. Beyond it they are left out.
	maxLinks = 256 << 10
	// rowBytes are asked of the store for a page's rows.
	rowBytes = 1 << 20
)

// Characters of a text in a row, and of the path, which few see. The event's own
// page has all.
const (
	rowText = 256
	rowPath = 1024
)

// errAddressTooLong is the problem of an address that no page can repeat.
var errAddressTooLong = problem.Problem{Kind: problem.Invalid, Status: http.StatusRequestURITooLong, Title: "This filter is too long for a page",
	Detail: fmt.Sprintf("Its address has more than %d bytes. Use fewer values, or a trailing * for many; the API and AuditLogQuery take more.", maxAddress)}

// tooLarge is what there is instead of a page that would have more than maxPage
// bytes.
var tooLarge = problem.Problem{Kind: problem.Internal, Status: http.StatusInternalServerError, Title: "This page is too large",
	Detail: "What it would show does not fit. Use a shorter filter, or the API, which has no page to draw."}

// checkAddress refuses an address that is too long.
func checkAddress(r *http.Request) error {
	if len(r.URL.RawQuery) > maxAddress {
		return errAddressTooLong
	}
	return nil
}

// manyLinks reports whether so many links of a length are too much for a page.
func manyLinks(n, length int) bool { return n*length > maxLinks }

// shorten cuts a text to so many characters.
func shorten(text string, most int) string {
	if len(text) <= most || utf8.RuneCountInString(text) <= most {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == most {
			return text[:i] + "…"
		}
	}
	return text
}

// fitting returns the page of the first of n rows, as many as maxPage bytes
// hold. page draws it with so many rows.
func fitting(n int, page func(n int) ([]byte, error)) ([]byte, error) {
	for {
		body, err := page(n)
		if err != nil || len(body) <= maxPage || n <= 1 {
			return body, err
		}
		n = max(1, min(n-1, n*maxPage/len(body)))
	}
}
