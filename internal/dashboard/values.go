package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	valuesPath        = query.AuditLogsPath + "/values/"
	containsParameter = "contains"
	menuValues        = 50  // of the log, in a menu
	pageValues        = 500 // on the page
)

// valuesData is a field's values in the log: the fragment that a menu loads,
// and the page that does without scripts what the menu does.
type valuesData struct {
	menu
	Keep  []parameter
	List  string // the list with the filter
	Links []valueLinks
}

// valueLinks are a value's links on the page: each leads to the list.
type valueLinks struct {
	value
	Include, Exclude string
}

func valuesLink(d query.Dimension, f query.Filter) string {
	link := valuesPath + string(d)
	if encoded := f.Encode(); encoded != "" {
		link += "?" + encoded
	}
	return link
}

func (d *dashboard) values(w http.ResponseWriter, r *http.Request, user auth.User) {
	dimension := query.Dimension(r.PathValue("dimension"))
	if !slices.Contains(query.Dimensions, dimension) {
		d.notFound(w, r, user)
		return
	}
	filter, contains, err := readValuesAddress(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	window, err := filter.Range.Resolve(d.Now())
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	scope, err := d.valuesScope(r, user, dimension, filter)
	if err != nil {
		d.refused(w, r, user, err, "", parameters(filter))
		return
	}
	w.Header().Add("Vary", "HX-Request")
	fragment := r.Header.Get("HX-Request") != ""
	most := pageValues
	if fragment {
		most = menuValues
	}
	if dimension == query.ByStatusCode { // few enough for sums of their classes
		most = store.MaxPage - 1
	}
	// One more tells whether there are others.
	facet, err := d.Store.Facet(r.Context(), scope, store.FacetRequest{Filter: filter, Window: window, Dimension: dimension, Limit: most + 1, Contains: contains})
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	data := valuesData{menu: newMenu(query.FieldOf(string(dimension)), filter, d.Types()), List: listLink(filter.Encode())}
	data.Contains, data.Most, data.More = contains, int64(most), len(facet.Values) > most
	data.merge(dimension, facet.Values[:min(most, len(facet.Values))])
	if fragment {
		d.renderPart(w, r, "values", "rows", data)
		return
	}
	data.Keep = parameters(filter)
	// Each value has two links, which hold the filter.
	rows := data.Rows[:min(len(data.Rows), max(1, maxPage/2/(1+len(data.List))))]
	for _, v := range rows {
		data.Links = append(data.Links, linksOf(v, filter))
	}
	links := data.Links
	shown := page{Title: data.Label + " in the audit log", User: user.Name, Place: inLogs, Wide: scope.IsClusterWide()}
	d.drawn(w, r, http.StatusOK, "values", func() ([]byte, error) {
		return fitting(len(links), func(n int) ([]byte, error) {
			if n < len(data.Rows) {
				data.More, data.Most = true, int64(n)
			}
			data.Rows, data.Links = data.Rows[:n], links[:n]
			shown.Data = data
			return d.html("values", "layout.html", shown)
		})
	})
}

// readValuesAddress reads the filter, and what its values are to contain.
// Parameters of the list's page, which its form sends too, mean nothing here.
func readValuesAddress(r *http.Request) (query.Filter, string, error) {
	values, err := readValues(r)
	if err != nil {
		return query.Filter{}, "", err
	}
	for _, name := range []string{cursorParameter, eventParameter, liveParameter} {
		delete(values, name)
	}
	contains, err := take(values, containsParameter)
	if err != nil {
		return query.Filter{}, "", err
	}
	if contains, err = query.PartOfValue(containsParameter, contains); err != nil {
		return query.Filter{}, "", err
	}
	filter, err := readFilter(values)
	return filter, contains, err
}

// valuesScope is the scope of the filter. The menu of namespaces offers all
// that the caller may read, as each menu ignores the filter's values of its
// own field; where they can't be found it has those that the filter names.
func (d *dashboard) valuesScope(r *http.Request, user auth.User, dimension query.Dimension, f query.Filter) (query.Scope, error) {
	if dimension == query.ByNamespace && len(f.Namespaces) > 0 {
		if scope, err := d.Auth.Scope(r.Context(), user); err == nil {
			return scope, nil
		}
	}
	return d.Auth.Scope(r.Context(), user, f.Namespaces...)
}

// merge gives the rows their counts and adds the log's values, and what was
// typed where it can be a value. The filter's values come first.
func (data *menu) merge(dimension query.Dimension, found []store.FacetValue) {
	counts, classes := map[string]int64{}, map[string]int64{}
	for i, v := range found {
		// As the filter takes it, so that every value can be chosen.
		found[i].Value = query.Literal(data.Name, v.Value)
		counts[found[i].Value] = v.Count
		if dimension == query.ByStatusCode && len(v.Value) == 3 {
			classes[v.Value[:1]+"xx"] += v.Count
		}
	}
	known := map[string]bool{}
	var chosen, rest []value
	for _, v := range data.Rows {
		known[v.Value] = true
		n, ok := counts[v.Value]
		if class, isClass := classes[v.Value]; isClass {
			n, ok = class, true
		}
		// What is not among all that were found has none.
		if ok || !data.More && data.Contains == "" {
			v.Count, v.Counted = n, data.Contains == "" || !strings.HasSuffix(v.Value, "xx")
		}
		switch {
		case v.In || v.Out:
			chosen = append(chosen, v)
		case matches(v, data.Contains):
			rest = append(rest, v)
		}
	}
	for _, v := range found {
		if !known[v.Value] {
			known[v.Value] = true
			rest = append(rest, value{Name: data.Name, Value: v.Value, Label: readable(data.Name, v.Value), Count: v.Count, Counted: true})
		}
	}
	data.Rows = append(chosen, append(data.typed(known), rest...)...)
}

func matches(v value, contains string) bool {
	contains = strings.ToLower(contains)
	return strings.Contains(strings.ToLower(v.Value), contains) || strings.Contains(strings.ToLower(v.Label), contains)
}

// typed are the values that what was typed may be, besides those known.
func (data *menu) typed(known map[string]bool) []value {
	if data.Contains == "" {
		return nil
	}
	var out []value
	add := func(v, hint string) error {
		f, err := query.ParseValues(url.Values{data.Name: {v}})
		if err != nil {
			return err
		}
		for _, v := range f.Values(data.Name) {
			if !known[v] {
				known[v] = true
				out = append(out, value{Name: data.Name, Value: v, Label: readable(data.Name, v), Hint: hint})
			}
		}
		return nil
	}
	err := add(data.Contains, "As typed")
	if full := query.FullResource(data.Contains); data.Name == string(query.ByResource) && full != data.Contains {
		_ = add(full, "With its API group")
	}
	if strings.HasSuffix(data.Hint, "*") || strings.Contains(data.Hint, "* as in") {
		if !strings.HasSuffix(data.Contains, "*") {
			_ = add(data.Contains+"*", "Everything that begins so")
		}
	}
	if data.Name == "action" && !strings.ContainsAny(data.Contains, ".*") {
		_ = add("*."+data.Contains, "Of every resource type")
	}
	var wrong *query.FieldError
	if errors.As(err, &wrong) && !data.Fixed {
		data.Wrong = wrong.Problem
	}
	return out
}

// linksOf returns the lists that include or exclude a value, or no longer do.
func linksOf(v value, f query.Filter) valueLinks {
	toggle := func(name string, on bool) string {
		params := slices.DeleteFunc(parameters(f), func(p parameter) bool {
			return p.Value == v.Value && (p.Name == v.Name || p.Name == v.Name+exclude)
		})
		if !on {
			params = append(params, parameter{name, v.Value})
		}
		values := url.Values{}
		for _, p := range params {
			values.Add(p.Name, p.Value)
		}
		// The filter's own order; what it can't hold, its page explains.
		if changed, err := query.ParseValues(values); err == nil {
			return listLink(changed.Encode())
		}
		return listLink(encode(params...))
	}
	return valueLinks{v, toggle(v.Name, v.In), toggle(v.Name+exclude, v.Out)}
}

// daysOf writes how long events are kept.
func daysOf(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return formatCount(int64(d/(24*time.Hour))) + " days"
	case d%time.Hour == 0:
		return formatCount(int64(d/time.Hour)) + " hours"
	}
	return d.String()
}
