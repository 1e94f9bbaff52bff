package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
)

// Parameters of the list's address that are no part of the filter.
const (
	cursorParameter = "cursor"
	// timeParameter is sent by forms alone: it says which of their fields for
	// the time counts, a preset or the dates beside it.
	timeParameter = "time"
	customTime    = "custom"
)

// An address is what the list's URL says: a filter, and what of its answer to
// show.
type address struct {
	Filter query.Filter
	Window query.Window // what the filter's range means now, or meant on the first page
	Cursor string       // where the page starts; empty for the first
	After  *query.Position
	Event  string // the event that is open beside the list
	Live   bool
	// Canonical is false where a form's fields must be made an address to share.
	Canonical bool
}

// link returns the address as it is shared.
func (a *address) link() string {
	parts := []string{a.Filter.Encode()}
	if a.Cursor != "" {
		parts = append(parts, encode(parameter{cursorParameter, a.Cursor}))
	}
	if a.Live {
		parts = append(parts, encode(parameter{liveParameter, "1"}))
	}
	if a.Event != "" {
		parts = append(parts, encode(parameter{eventParameter, a.Event}))
	}
	return listLink(join(parts...))
}

// withEvent returns the link to the same page with an event open; none for
// an empty ID.
func (a address) withEvent(id string) string {
	a.Event = id
	return a.link()
}

// withFilter returns the link to another filter's first page.
func (a address) withFilter(f query.Filter) string {
	return (&address{Filter: f, Live: a.Live}).link()
}

// readValues reads a query string, all of it. Its error's text is fit for users.
func readValues(r *http.Request) (url.Values, error) {
	// Not URL.Query, which leaves out what it can't read.
	if err := checkAddress(r); err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &query.FieldError{Field: "the address", Problem: "has a part that is not written as URLs are: " + err.Error()}
	}
	return values, nil
}

// readAddress reads the list's URL. Its error's text is fit for users.
func readAddress(r *http.Request, now time.Time) (address, error) {
	values, err := readValues(r)
	if err != nil {
		return address{}, err
	}
	_, form := values[timeParameter]
	a := address{Canonical: !form && !hasBlank(r.URL.RawQuery)}
	var given [3]string
	for i, name := range []string{cursorParameter, eventParameter, liveParameter} {
		if given[i], err = take(values, name); err != nil {
			return address{}, err
		}
	}
	a.Cursor, a.Event, a.Live = given[0], given[1], given[2] != ""
	if a.Live && given[2] != "1" {
		return address{}, &query.FieldError{Field: liveParameter, Problem: "must be 1 or absent"}
	}
	if a.Filter, err = readFilter(values); err != nil {
		return address{}, err
	}
	if a.Cursor != "" {
		cursor, err := query.DecodeCursor(a.Cursor, a.Filter)
		if err != nil {
			return address{}, err
		}
		a.After, a.Window = &cursor.Position, cursor.Window
		return a, nil
	}
	a.Window, err = a.Filter.Range.Resolve(now)
	return a, err
}

// readFilter reads a filter from what a URL holds or a form sent.
func readFilter(values url.Values) (query.Filter, error) {
	choice, err := take(values, timeParameter)
	if err != nil {
		return query.Filter{}, err
	}
	switch choice {
	case "":
	case customTime:
		delete(values, "range")
	default:
		values["range"] = []string{choice}
		delete(values, "from")
		delete(values, "to")
	}
	return query.ParseValues(values)
}

// take removes a parameter that may be given once, and returns its value.
func take(values url.Values, name string) (string, error) {
	given := values[name]
	delete(values, name)
	switch len(given) {
	case 0:
		return "", nil
	case 1:
		return given[0], nil
	}
	return "", &query.FieldError{Field: name, Problem: "may be given once"}
}

// hasBlank reports whether a query string has a parameter without a value.
func hasBlank(encoded string) bool {
	for part := range strings.SplitSeq(encoded, "&") {
		if _, value, _ := strings.Cut(part, "="); value == "" && encoded != "" {
			return true
		}
	}
	return false
}

func listLink(encoded string) string {
	if encoded == "" {
		return query.AuditLogsPath
	}
	return query.AuditLogsPath + "?" + encoded
}

func join(parts ...string) string {
	var filled []string
	for _, p := range parts {
		if p != "" {
			filled = append(filled, p)
		}
	}
	return strings.Join(filled, "&")
}

func encode(params ...parameter) string {
	parts := make([]string, len(params))
	for i, p := range params {
		parts[i] = url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value)
	}
	return join(parts...)
}

// parameters returns what Filter.Encode writes, one by one.
func parameters(f query.Filter) []parameter {
	var out []parameter
	for part := range strings.SplitSeq(f.Encode(), "&") {
		name, value, ok := strings.Cut(part, "=")
		if value, err := url.QueryUnescape(value); ok && err == nil {
			out = append(out, parameter{name, value})
		}
	}
	return out
}
