package crdconv

import (
	"errors"
	"strings"

	"github.com/porter-dev/audit-operator/internal/query"
)

// otherFields name the resource's field of each parameter that is none of
// query.Fields.
var otherFields = map[string]string{
	"truncated": "truncated",
	"search":    "search",
	"dry_run":   "dryRun",
	"range":     "timeRange",
	"from":      "timeRange.from",
	"to":        "timeRange.to",
}

// fieldOf names the resource's field of a parameter; empty where it has none.
func fieldOf(parameter string) string {
	if field := query.FieldOf(parameter); field != nil {
		return field.Spec
	}
	return otherFields[parameter]
}

// checked validates a filter, and names the resource's fields in the errors.
func checked(f query.Filter) (query.Filter, error) {
	if err := f.Validate(); err != nil {
		return query.Filter{}, InSpec(err)
	}
	return f, nil
}

// InSpec returns an error about a filter with the resource's field names instead
// of the URL's.
func InSpec(err error) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var errs []error
		for _, err := range joined.Unwrap() {
			errs = append(errs, InSpec(err))
		}
		return errors.Join(errs...)
	}
	var wrong *query.FieldError
	if !errors.As(err, &wrong) {
		return err
	}
	renamed := *wrong
	name, excluded := strings.CutSuffix(wrong.Field, "_exclude")
	if field := fieldOf(name); field != "" {
		renamed.Field = "spec." + field
		if excluded {
			renamed.Field = "spec.exclude." + field
		}
	}
	return &renamed
}
