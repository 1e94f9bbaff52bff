package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
)

// strayCursor is what is wrong with a cursor that can't be gone on from.
const strayCursor = "does not belong to this filter; begin with the first page"

// parameters reads the query string of a request, and gathers what is wrong
// with it. Empty parameters count as absent, as in a filter.
type parameters struct {
	values url.Values
	known  []string
	errs   []error
}

// parametersOf fails for what is not written as query strings are.
func parametersOf(r *http.Request) (*parameters, error) {
	// Not URL.Query, which leaves out what it can't read.
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.InvalidFields(problem.Field{Reason: "the query string has a part that is not written as URLs are: " + err.Error()})
	}
	return &parameters{values: values}, nil
}

func (p *parameters) wrong(name, value, reason string) {
	p.errs = append(p.errs, &query.FieldError{Field: name, Value: value, Problem: reason})
}

// text returns a parameter that may be given once.
func (p *parameters) text(name string) string {
	p.known = append(p.known, name)
	given := slices.DeleteFunc(slices.Clone(p.values[name]), func(v string) bool { return v == "" })
	slices.Sort(given)
	if given = slices.Compact(given); len(given) > 1 {
		p.wrong(name, "", "may be given once")
	}
	if len(given) == 0 {
		return ""
	}
	return given[0]
}

// number returns a parameter that is a number from 1 to most.
func (p *parameters) number(name string, absent, most int) int {
	v := p.text(name)
	if v == "" {
		return absent
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		p.wrong(name, query.Shorten(v), fmt.Sprintf("must be a number from 1 to %d", most))
	}
	return n
}

// flag returns a parameter that is true or false, which it is when absent.
func (p *parameters) flag(name string) bool {
	v := p.text(name)
	if v != "" && v != "true" && v != "false" {
		p.wrong(name, query.Shorten(v), "must be true or false")
	}
	return v == "true"
}

// namespaces are those that a request about one thing may name.
func (p *parameters) namespaces() []string {
	name := string(query.ByNamespace)
	p.known = append(p.known, name)
	return slices.DeleteFunc(slices.Clone(p.values[name]), func(v string) bool { return v == "" })
}

// filter returns the filter, and knows its parameters.
func (p *parameters) filter() query.Filter {
	names := query.Parameters()
	p.known = append(p.known, names...)
	own := url.Values{}
	for _, name := range names {
		if values := p.values[name]; len(values) > 0 {
			own[name] = values
		}
	}
	f, err := query.ParseValues(own)
	if err != nil {
		p.errs = append(p.errs, err)
	}
	return f
}

// question is a filter with the time that it means.
type question struct {
	query.Filter
	Window query.Window
	After  *query.Position // where the page starts; nil for the first
	asked  time.Time       // when it came
}

// question returns the filter and the window that it means now.
func (p *parameters) question(now time.Time) question {
	q := question{Filter: p.filter(), asked: now}
	p.resolve(&q)
	return q
}

// page returns the filter, the window and the place that the parameter cursor
// names.
func (p *parameters) page(now time.Time) question {
	encoded := p.text("cursor")
	if encoded == "" {
		return p.question(now)
	}
	q := question{Filter: p.filter(), asked: now}
	cursor, err := query.DecodeCursor(encoded, q.Filter)
	if err != nil && len(p.errs) == 0 { // else the filter isn't the one that was meant
		p.wrong("cursor", "", strayCursor)
	}
	q.Window, q.After = cursor.Window, &cursor.Position
	return q
}

func (p *parameters) resolve(q *question) {
	var err error
	if q.Window, err = q.Range.Resolve(q.asked); err != nil {
		p.errs = append(p.errs, err)
	}
}

// err refuses what was found wrong, and what nothing has asked for: a
// parameter that was ignored could widen the answer.
func (p *parameters) err() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(p.known, name) {
			p.wrong(query.Shorten(name), "", "is no parameter here; use "+strings.Join(p.known, ", "))
		}
	}
	return errors.Join(p.errs...)
}
