package crdconv

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
)

// Kinds of query.
const (
	KindNamespaced = "AuditLogQuery"
	KindCluster    = "ClusterAuditLogQuery"
)

// Manifest is a query resource that asks for what a filter selects.
type Manifest struct {
	Kind      string
	Name      string
	Namespace string // of an AuditLogQuery
	YAML      string
}

// Manifests returns the query resources that ask for what the filter selects:
// an AuditLogQuery where it names one namespace and neither cluster nor source, else a
// ClusterAuditLogQuery. Limited are the namespaces that the asker's rights end
// at, none for who may read everything: as such an asker may read no
// cluster-wide answer, there is one AuditLogQuery for each namespace that the
// filter selects of them, and a filter of clusters or sources is refused. Its error joins a *query.FieldError for each value
// that the resources can't hold, with the URL's parameter names, and one for
// a name that objects can't have.
func Manifests(name string, f query.Filter, limited []string) ([]Manifest, error) {
	var errs []error
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		errs = append(errs, &query.FieldError{Field: "name", Value: query.Shorten(name), Problem: "is no name of an object; use lower-case letters, digits, - and ., like deletes-in-shop, at most 253"})
	}
	errs = append(errs, fieldless(f)...)
	if len(limited) > 0 {
		errs = slices.Concat(errs, unsayable(f), ofOneCluster(f))
	}
	if err := f.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	namespaces, wide := targets(f, limited)
	if wide {
		m, err := manifest(KindCluster, name, "", f)
		return []Manifest{m}, err
	}
	var out []Manifest
	for _, namespace := range namespaces {
		m, err := manifest(KindNamespaced, name, namespace, f)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		return nil, &query.FieldError{Field: "namespace_exclude", Problem: "leaves none of the namespaces that you may read"}
	}
	return out, nil
}

// targets says in which namespaces a filter's queries are, or that it takes one
// of the whole cluster.
func targets(f query.Filter, limited []string) (namespaces []string, wide bool) {
	if len(limited) > 0 {
		namespaces = limited
		if len(f.Namespaces) > 0 {
			namespaces = f.Namespaces
		}
		return slices.DeleteFunc(slices.Clone(namespaces), func(n string) bool { return slices.Contains(f.Exclude.Namespaces, n) }), false
	}
	plain := len(f.Namespaces) == 1 && isPlace("namespace", f.Namespaces[0]) && len(f.Exclude.Namespaces) == 0
	for _, field := range query.Fields {
		plain = plain && (!isOfClusters(field) || len(field.Values(&f.Terms))+len(field.Values(&f.Exclude)) == 0)
	}
	return f.Namespaces, !plain
}

// placePatterns are how the places of a cluster are named, by parameter. What
// a client wrote into a path may be any text.
var placePatterns = map[string]*regexp.Regexp{
	"namespace": regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`),
	"cluster":   regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`),
	"source":    regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`),
}

const longestPlace = 63

func isPlace(parameter, v string) bool {
	return placePatterns[parameter].MatchString(v) && len(v) <= longestPlace
}

// sayable are values as the schema of the resources takes them: one that
// nothing in a cluster bears, although a client may have asked for it, is
// written as a literal.
func sayable(parameter string, values []string) []string {
	if placePatterns[parameter] == nil {
		return values
	}
	out := slices.Clone(values)
	for i, v := range out {
		if _, literal := query.IsLiteral(parameter, v); !literal && !isPlace(parameter, v) && (parameter != "namespace" || v != query.NoNamespace) {
			out[i] = "=" + v
		}
	}
	return out
}

// fieldless are the values of a filter for which the resources have no field.
func fieldless(f query.Filter) []error {
	var errs []error
	for _, field := range query.Fields {
		if field.Spec != "" {
			continue
		}
		for _, parameter := range []string{field.Name, field.Name + "_exclude"} {
			if values := f.Values(parameter); len(values) > 0 {
				errs = append(errs, &query.FieldError{Field: parameter, Value: query.Shorten(values[0]), Problem: "can't be a part of a query that is kept; remove it from the view and save that"})
			}
		}
	}
	return errs
}

// unsayable are the namespaces of a filter in which no AuditLogQuery can be,
// because none has their name.
func unsayable(f query.Filter) []error {
	var errs []error
	for _, v := range f.Namespaces {
		if !isPlace("namespace", v) {
			errs = append(errs, &query.FieldError{Field: "namespace", Value: query.Shorten(v), Problem: "is no name of a namespace"})
		}
	}
	return errs
}

// isOfClusters reports whether an AuditLogQuery lacks the field, and is no
// namespace, which it is in.
func isOfClusters(field *query.Field) bool {
	return field.Place && field.Name != string(query.ByNamespace)
}

// ofOneCluster refuses the terms of clusters and sources, which an AuditLogQuery
// has none for: without them it would ask for more.
func ofOneCluster(f query.Filter) []error {
	const problem = "can't be a part of an AuditLogQuery, which asks about the operator's own cluster alone; remove it from the view and save that"
	var errs []error
	for _, field := range query.Fields {
		if !isOfClusters(field) {
			continue
		}
		for _, parameter := range []string{field.Name, field.Name + "_exclude"} {
			if values := f.Values(parameter); len(values) > 0 {
				errs = append(errs, &query.FieldError{Field: parameter, Value: query.Shorten(strings.Join(values, ", ")), Problem: problem})
			}
		}
	}
	return errs
}

// manifest writes one resource. It is made of plain values and not of the API's
// types: those write times without their fractions of a second, which would
// ask for other events, and a status.
func manifest(kind, name, namespace string, f query.Filter) (Manifest, error) {
	spec := map[string]any{}
	put := func(to map[string]any, t query.Terms, places bool) {
		for _, field := range query.Fields {
			if values := field.Values(&t); len(values) > 0 && (places || !field.Place) {
				to[field.Spec] = sayable(field.Name, values)
			}
		}
	}
	put(spec, f.Terms, kind == KindCluster)
	excluded := map[string]any{}
	put(excluded, f.Exclude, kind == KindCluster)
	if len(excluded) > 0 {
		spec["exclude"] = excluded
	}
	if search := strings.TrimSpace(f.Search); search != "" {
		spec["search"] = search
	}
	if f.DryRun != nil {
		spec["dryRun"] = *f.DryRun
	}
	if f.Truncated != nil {
		spec["truncated"] = *f.Truncated
	}
	if r := rangeOf(f.Range); r != nil {
		spec["timeRange"] = r
	}
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	// Not by way of JSON, as sigs.k8s.io/yaml writes, which leaves characters as
	// they are that YAML must escape.
	encoded, err := yaml.Marshal(map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": metadata, "spec": spec})
	if err != nil {
		return Manifest{}, fmt.Errorf("write a %s: %w", kind, err)
	}
	return Manifest{Kind: kind, Name: name, Namespace: namespace, YAML: string(bytes.TrimSpace(encoded)) + "\n"}, nil
}

func rangeOf(r query.TimeRange) map[string]any {
	switch {
	case r.Duration != "":
		return map[string]any{"duration": r.Duration}
	case r.Preset != "":
		for name, preset := range presets {
			if preset == r.Preset {
				return map[string]any{"preset": string(name)}
			}
		}
	case !r.From.IsZero():
		out := map[string]any{"from": r.From.UTC().Format(time.RFC3339Nano)}
		if !r.To.IsZero() {
			out["to"] = r.To.UTC().Format(time.RFC3339Nano)
		}
		return out
	}
	return nil
}
