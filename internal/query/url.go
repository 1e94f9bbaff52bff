package query

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Paths of the dashboard's pages.
const (
	// AuditLogsPath shows the events of the filter in its query string.
	AuditLogsPath = "/security/audit-logs"
	// SnapshotsPath is followed by a snapshot's ID.
	SnapshotsPath = "/security/snapshots/"
)

const excludeSuffix = "_exclude"

// otherParameters follow the terms in a URL.
var otherParameters = []string{"truncated", "search", "dry_run", "range", "from", "to"}

// Parameters returns the names of the URL's parameters in the order in which
// Encode writes them.
func Parameters() []string {
	var out []string
	for _, f := range Fields {
		out = append(out, f.Name, f.Name+excludeSuffix)
	}
	return append(out, otherParameters...)
}

// Values returns the values of one parameter of a filter's terms, such as
// actor or actor_exclude, as a URL writes them.
func (f *Filter) Values(parameter string) []string {
	terms := &f.Terms
	if name, ok := strings.CutSuffix(parameter, excludeSuffix); ok {
		terms, parameter = &f.Exclude, name
	}
	if field := FieldOf(parameter); field != nil {
		return field.Values(terms)
	}
	return nil
}

// Encode writes the filter as a URL's query string: parameters in a fixed
// order, values as they were given, the default left out. ParseValues reads it.
func (f Filter) Encode() string {
	var b strings.Builder
	write := func(name, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(value))
	}
	for _, field := range Fields {
		for _, v := range field.Values(&f.Terms) {
			write(field.Name, v)
		}
		for _, v := range field.Values(&f.Exclude) {
			write(field.Name+excludeSuffix, v)
		}
	}
	if f.Truncated != nil {
		write("truncated", strconv.FormatBool(*f.Truncated))
	}
	if search := strings.TrimSpace(f.Search); search != "" {
		write("search", search)
	}
	if f.DryRun != nil {
		write("dry_run", strconv.FormatBool(*f.DryRun))
	}
	switch r := f.Range; {
	case r.Duration != "":
		write("range", r.Duration)
	case r.Preset != "" && r.Preset != DefaultPreset:
		write("range", string(r.Preset))
	case !r.From.IsZero():
		write("from", r.From.UTC().Format(time.RFC3339Nano))
		if !r.To.IsZero() {
			write("to", r.To.UTC().Format(time.RFC3339Nano))
		}
	}
	return b.String()
}

// ParseValues reads a filter from a URL's parameters. Empty parameters count
// as absent and duplicates collapse. Everything else that is not understood is
// an error that joins a *FieldError for each problem: a parameter that was
// ignored would widen the answer.
func ParseValues(values url.Values) (Filter, error) {
	var f Filter
	var errs []error
	known := map[string]bool{}
	for _, field := range Fields {
		for suffix, terms := range map[string]*Terms{"": &f.Terms, excludeSuffix: &f.Exclude} {
			name := field.Name + suffix
			known[name] = true
			for _, v := range values[name] {
				if v == "" {
					continue
				}
				if err := field.Add(terms, v); err != nil {
					errs = append(errs, rename(err, name))
				}
			}
		}
	}
	single := func(name string) string {
		known[name] = true
		given := slices.DeleteFunc(slices.Clone(values[name]), func(v string) bool { return strings.TrimSpace(v) == "" })
		slices.Sort(given)
		if given = slices.Compact(given); len(given) > 1 {
			errs = append(errs, &FieldError{Field: name, Problem: "may be given once"})
		}
		if len(given) == 0 {
			return ""
		}
		return strings.TrimSpace(given[0])
	}
	f.Search = single("search")
	flag := func(name string) *bool {
		v := single(name)
		if v == "" {
			return nil
		}
		if v != "true" && v != "false" {
			errs = append(errs, &FieldError{Field: name, Value: Shorten(v), Problem: "must be true or false"})
		}
		on := v == "true"
		return &on
	}
	f.Truncated, f.DryRun = flag("truncated"), flag("dry_run")
	if v := single("range"); v != "" {
		if slices.Contains(Presets, Preset(v)) {
			f.Range.Preset = Preset(v)
		} else {
			f.Range.Duration = v
		}
	}
	f.Range.From = parseTime("from", single("from"), &errs)
	f.Range.To = parseTime("to", single("to"), &errs)
	if (f.Range == TimeRange{Preset: DefaultPreset}) {
		f.Range = TimeRange{}
	}
	for name := range values {
		if !known[name] {
			errs = append(errs, &FieldError{Field: Shorten(name), Problem: "is no filter; use " + strings.Join(Parameters(), ", ")})
		}
	}
	if len(errs) == 0 {
		if err := f.Validate(); err != nil {
			return Filter{}, err
		}
		return f, nil
	}
	return Filter{}, errors.Join(sorted(errs)...)
}

// timeLayouts are what a from or to may look like: RFC 3339, and what a
// browser's field for a date and time sends, which is read as UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"}

func parseTime(name, v string, errs *[]error) time.Time {
	if v == "" {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, v)
		// Years beyond four digits can't be written again, and the zero time
		// would read as absent.
		if t = t.UTC().Truncate(time.Microsecond); err == nil && t.Year() >= 1970 && Writable(t) {
			return t
		}
	}
	*errs = append(*errs, &FieldError{Field: name, Value: Shorten(v), Problem: "is no time; use RFC 3339 like 2026-11-01T00:00:00Z, from 1970 on"})
	return time.Time{}
}

func rename(err error, field string) error {
	var wrong *FieldError
	if errors.As(err, &wrong) {
		return &FieldError{Field: field, Value: wrong.Value, Problem: wrong.Problem}
	}
	return fmt.Errorf("%s: %w", field, err)
}

// sorted gives the same errors in the same order, whatever order a map had.
func sorted(errs []error) []error {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// ShareURL returns the address of the page that shows the filter on the
// dashboard at base.
func ShareURL(base string, f Filter) string {
	address := strings.TrimSuffix(base, "/") + AuditLogsPath
	if encoded := f.Encode(); encoded != "" {
		address += "?" + encoded
	}
	return address
}

// SnapshotURL returns the address of a snapshot on the dashboard at base. The
// namespace is that of a namespaced snapshot, whose readers have rights there.
func SnapshotURL(base, id, namespace string) string {
	address := strings.TrimSuffix(base, "/") + SnapshotsPath + id
	if namespace != "" {
		address += "?namespace=" + url.QueryEscape(namespace)
	}
	return address
}

// Hash identifies the filter: filters that Encode alike hash alike.
func (f Filter) Hash() string {
	sum := sha256.Sum256([]byte(f.Encode()))
	return hex.EncodeToString(sum[:16])
}
