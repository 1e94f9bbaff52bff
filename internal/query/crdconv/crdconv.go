// Package crdconv converts the queries of the API to filters.
//
// Admission has refused most of what is refused here, but not with every
// apiserver and every version of the CRDs, and a filter must never come out
// wider than what was asked. So each conversion checks again.
package crdconv

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
)

// Filter returns the filter of a query of either kind.
func Filter(q v1alpha1.Query) (query.Filter, error) {
	switch q := q.(type) {
	case *v1alpha1.AuditLogQuery:
		return FilterFromNamespaced(&q.Spec, q.Namespace)
	case *v1alpha1.ClusterAuditLogQuery:
		return FilterFromCluster(&q.Spec)
	default:
		return query.Filter{}, fmt.Errorf("convert a query of type %T", q)
	}
}

// FilterFromNamespaced returns the filter of an AuditLogQuery in a namespace,
// limited to that namespace. Its error joins a *query.FieldError for each wrong
// value, with the resource's field names.
func FilterFromNamespaced(spec *v1alpha1.AuditLogQuerySpec, namespace string) (query.Filter, error) {
	if namespace == "" || namespace == query.NoNamespace {
		// Without it the filter would select every namespace.
		return query.Filter{}, &query.FieldError{Field: "metadata.namespace", Value: namespace, Problem: "must be the query's namespace"}
	}
	f, err := shared(&spec.QuerySpec)
	if err != nil {
		return query.Filter{}, err
	}
	f.Namespaces = []string{namespace}
	if spec.Exclude != nil {
		if err := addTerms(&f.Exclude, "spec.exclude", spec.Exclude); err != nil {
			return query.Filter{}, err
		}
	}
	return checked(f)
}

// FilterFromCluster returns the filter of a ClusterAuditLogQuery. Its error
// joins a *query.FieldError for each wrong value, with the resource's field
// names.
func FilterFromCluster(spec *v1alpha1.ClusterAuditLogQuerySpec) (query.Filter, error) {
	f, err := shared(&spec.QuerySpec)
	if err != nil {
		return query.Filter{}, err
	}
	if err := addTerms(&f.Terms, "spec", &spec.PlaceTerms); err != nil {
		return query.Filter{}, err
	}
	if spec.Exclude != nil {
		if err := addTerms(&f.Exclude, "spec.exclude", spec.Exclude); err != nil {
			return query.Filter{}, err
		}
	}
	return checked(f)
}

func shared(spec *v1alpha1.QuerySpec) (query.Filter, error) {
	window, err := timeRange(spec.TimeRange)
	if err != nil {
		return query.Filter{}, err
	}
	f := query.Filter{Search: strings.TrimSpace(spec.Search), Range: window}
	if err := addTerms(&f.Terms, "spec", &spec.Terms); err != nil {
		return query.Filter{}, err
	}
	if spec.DryRun != nil {
		dryRun := *spec.DryRun
		f.DryRun = &dryRun
	}
	if spec.Truncated != nil {
		truncated := *spec.Truncated
		f.Truncated = &truncated
	}
	return f, nil
}

// addTerms adds the lists of an object of the API, which bear the names that
// query.Fields gives them, at a path of the resource. It shares nothing with the
// object.
func addTerms(to *query.Terms, path string, object any) error {
	encoded, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	var lists map[string][]string
	if err := json.Unmarshal(encoded, &lists); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	for _, field := range query.Fields {
		if field.Spec == "" {
			continue
		}
		for i, v := range lists[field.Spec] {
			if err := field.Add(to, v); err != nil {
				return &query.FieldError{
					Field: fmt.Sprintf("%s.%s[%d]", path, field.Spec, i), Value: v,
					Problem: "is no address like 192.0.2.7 and no CIDR range like 10.0.0.0/8",
				}
			}
		}
		delete(lists, field.Spec)
	}
	for name := range lists {
		return fmt.Errorf("%s.%s is a field of no filter", path, name)
	}
	return nil
}

var presets = map[v1alpha1.TimeRangePreset]query.Preset{
	v1alpha1.LastHour:    query.LastHour,
	v1alpha1.Last24Hours: query.Last24Hours,
	v1alpha1.Last7Days:   query.Last7Days,
	v1alpha1.Last30Days:  query.Last30Days,
}

func timeRange(r *v1alpha1.TimeRange) (query.TimeRange, error) {
	if r == nil {
		return query.TimeRange{}, nil
	}
	out := query.TimeRange{Duration: r.Duration}
	if r.Preset != "" {
		preset, ok := presets[r.Preset]
		if !ok {
			return out, &query.FieldError{Field: "spec.timeRange.preset", Value: string(r.Preset), Problem: "is no preset; use LastHour, Last24Hours, Last7Days or Last30Days"}
		}
		out.Preset = preset
	}
	for _, moment := range []struct {
		field string
		in    *metav1.Time
		out   *time.Time
	}{{"from", r.From, &out.From}, {"to", r.To, &out.To}} {
		if moment.in == nil {
			continue
		}
		// The zero time would read as an absent one, and open the range; a year
		// of five digits can't be written in a URL.
		t := moment.in.UTC().Truncate(time.Microsecond)
		if t.Year() < 1970 || t.Year() > 9999 {
			return out, &query.FieldError{Field: "spec.timeRange." + moment.field, Value: t.Format(time.RFC3339), Problem: "must be in the years from 1970 to 9999"}
		}
		*moment.out = t
	}
	if out.IsZero() {
		return out, &query.FieldError{Field: "spec.timeRange", Problem: "give exactly one of preset, duration, or from (with or without to)"}
	}
	if out == (query.TimeRange{Preset: query.DefaultPreset}) {
		// What equals the default is one filter, with one URL and one hash.
		return query.TimeRange{}, nil
	}
	return out, nil
}

// unique drops repetitions and keeps the order. It never returns its argument,
// so that a filter shares nothing with an object of the cache.
func unique[T comparable](values []T) []T {
	if len(values) == 0 {
		return nil
	}
	seen := make(map[T]bool, len(values))
	out := make([]T, 0, len(values))
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
