package httpapi

import (
	"net/http"
	"slices"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	defaultValues = 50
	mostValues    = 500 // so that one more can be asked for
)

// facetAnswer counts events by the values of one field, whatever the filter
// says of that field, the most frequent first.
type facetAnswer struct {
	Dimension query.Dimension `json:"dimension"`
	Values    []facetValue    `json:"values"`
	More      bool            `json:"more"` // there are other values
	about
}

type facetValue struct {
	Value string `json:"value"` // as the filter takes it
	Count int64  `json:"count"`
}

func (a *api) facet(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	dimension := query.Dimension(r.PathValue("dimension"))
	if !slices.Contains(query.Dimensions, dimension) {
		return problem.Problem{Kind: problem.NotFound, Status: http.StatusNotFound, Title: "Not found",
			Detail: "Events have no such field to count by. " + v1 + "openapi.json lists those that there are."}
	}
	limit, q := p.number("limit", defaultValues, mostValues), p.question(a.Now())
	contains, err := query.PartOfValue("contains", p.text("contains"))
	if err != nil {
		p.errs = append(p.errs, err)
	}
	if err := p.err(); err != nil {
		return err
	}
	scope, err := a.Auth.Scope(r.Context(), user, q.Namespaces...)
	if err != nil {
		return err
	}
	facet, err := a.Store.Facet(r.Context(), scope, store.FacetRequest{Filter: q.Filter, Window: q.Window, Dimension: dimension, Contains: contains, Limit: limit + 1})
	if err != nil {
		return err
	}
	answer := facetAnswer{Dimension: dimension, Values: []facetValue{}, More: len(facet.Values) > limit, about: a.about(q, facet.AsOf, facet.Quarantined)}
	for _, v := range facet.Values[:min(limit, len(facet.Values))] {
		answer.Values = append(answer.Values, facetValue{query.Literal(string(dimension), v.Value), v.Count})
	}
	return send(w, answer)
}
