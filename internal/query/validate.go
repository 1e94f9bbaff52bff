package query

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Bounds of a filter.
const (
	MaxValues       = 100 // of one field
	MaxValueLength  = 256 // characters of one value, but for the = before a literal one
	MaxSearchLength = 255 // characters of the search
)

var (
	resourceTypePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	statusCodePattern   = regexp.MustCompile(`^[1-5]([0-9][0-9]|xx)$`)
)

// Validate checks every field of the filter. Its error joins a *FieldError for
// each wrong value; it is nil where there is none.
func (f *Filter) Validate() error {
	errs := append(f.Terms.validate(""), f.Exclude.validate("_exclude")...)
	if utf8.RuneCountInString(f.Search) > MaxSearchLength {
		errs = append(errs, &FieldError{Field: "search", Problem: fmt.Sprintf("must have at most %d characters", MaxSearchLength)})
	}
	if err := textual(f.Search); err != "" {
		errs = append(errs, &FieldError{Field: "search", Problem: err})
	}
	if err := f.Range.validate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// PartOfValue reads what the values of a field are to contain: as a search is
// read, without the space around it. Its error is a *FieldError of the named
// parameter.
func PartOfValue(parameter, s string) (string, error) {
	s = strings.TrimSpace(s)
	var wrong *FieldError
	if errors.As((&Filter{Search: s}).Validate(), &wrong) {
		return "", &FieldError{Field: parameter, Problem: wrong.Problem}
	}
	return s, nil
}

func (t *Terms) validate(suffix string) []error {
	var errs []error
	for _, field := range termFields {
		values := field.get(t)
		if len(values) > MaxValues {
			errs = append(errs, &FieldError{Field: field.name + suffix, Problem: fmt.Sprintf("must have at most %d values, not %d", MaxValues, len(values))})
			continue
		}
		for _, v := range values {
			if problem := field.problem(v); problem != "" {
				errs = append(errs, &FieldError{Field: field.name + suffix, Value: Shorten(v), Problem: problem})
			}
		}
	}
	return errs
}

// A termField is one field of Terms, in the order in which URLs write them.
type termField struct {
	name  string
	get   func(*Terms) []string
	add   func(*Terms, string) error
	check func(string) string // what is wrong with a value, or nothing
}

func (f *termField) problem(v string) string {
	v, literal := IsLiteral(f.name, v)
	switch {
	case literal && v == "":
		return "must have a text after ="
	case v == "":
		return "must not be empty"
	case utf8.RuneCountInString(v) > MaxValueLength:
		return fmt.Sprintf("must have at most %d characters", MaxValueLength)
	}
	if problem := textual(v); problem != "" {
		return problem
	}
	if literal {
		return ""
	}
	return f.check(v)
}

// termFields are the fields in the order of the URL.
var termFields = []termField{
	text("resource_type", func(t *Terms) *[]string { return &t.ResourceTypes }, nil, func(v string) string {
		if !resourceTypePattern.MatchString(v) {
			return "is no resource type; use lower-case letters, digits and _, like environment_group"
		}
		return ""
	}),
	text("actor", func(t *Terms) *[]string { return &t.Actors }, nil, trailingStar),
	text("method", func(t *Terms) *[]string { return &t.Methods }, strings.ToUpper, oneOf("method", audit.Methods)),
	text("action", func(t *Terms) *[]string { return &t.Actions }, nil, actionPattern),
	{
		name: "ip",
		get: func(t *Terms) []string {
			out := make([]string, len(t.IPs))
			for i, p := range t.IPs {
				out[i] = FormatPrefix(p)
			}
			return out
		},
		add: func(t *Terms, v string) error {
			p, err := ParsePrefix(v)
			if err == nil && !slices.Contains(t.IPs, p) {
				t.IPs = append(t.IPs, p)
			}
			return err
		},
		check: func(v string) string {
			p, err := ParsePrefix(v)
			if err != nil || FormatPrefix(p) != v {
				return "is no address and no masked CIDR range; use one like 192.0.2.7 or 10.0.0.0/8"
			}
			return ""
		},
	},
	text("status_code", func(t *Terms) *[]string { return &t.StatusCodes }, strings.ToLower, func(v string) string {
		if !statusCodePattern.MatchString(v) {
			return "is no status code; use 100 to 599 or a class from 1xx to 5xx"
		}
		return ""
	}),
	text("resource_name", func(t *Terms) *[]string { return &t.ResourceNames }, nil, trailingStar),
	text("cluster", func(t *Terms) *[]string { return &t.Clusters }, nil, exact),
	text("client", func(t *Terms) *[]string { return &t.Clients }, nil, oneOf("client", audit.Clients)),
	text("stage", func(t *Terms) *[]string { return &t.Stages }, nil, oneOf("stage", audit.Stages)),
	text("namespace", func(t *Terms) *[]string { return &t.Namespaces }, nil, exact),
	text("source", func(t *Terms) *[]string { return &t.Sources }, nil, exact),
	text("path", func(t *Terms) *[]string { return &t.Paths }, nil, trailingStar),
	text("actor_kind", func(t *Terms) *[]string { return &t.ActorKinds }, nil, oneOf("kind of actor", audit.ActorKinds)),
}

func text(name string, list func(*Terms) *[]string, fold func(string) string, check func(string) string) termField {
	return termField{
		name: name,
		get:  func(t *Terms) []string { return *list(t) },
		add: func(t *Terms, v string) error {
			if fold != nil {
				v = fold(v)
			}
			l := list(t)
			*l = Canonical(name, append(*l, v))
			return nil
		},
		check: check,
	}
}

func exact(v string) string {
	if strings.Contains(v, "*") {
		return "must be written out: * has no meaning here, but after = as in =a*"
	}
	return ""
}

func trailingStar(v string) string {
	if strings.Contains(strings.TrimSuffix(v, "*"), "*") {
		return "may have one *, at its end; after = a value is literal, as in =a*b"
	}
	return ""
}

// anyType begins an action of whatever resource type, like *.exec.
const anyType = "*."

// ActionPatterns are what values of actions stand for: whole actions, and what
// follows the resource type of those that leave it open, in which = is no mark.
func ActionPatterns(values []string) (whole, ofAnyType []Pattern) {
	for _, v := range values {
		rest, open := strings.CutPrefix(v, anyType)
		if !open {
			whole = append(whole, patternOf(v))
			continue
		}
		var action Pattern
		action.Text, action.Open = strings.CutSuffix(rest, "*")
		ofAnyType = append(ofAnyType, action)
	}
	return whole, ofAnyType
}

func actionPattern(v string) string {
	if action, ok := strings.CutPrefix(v, anyType); ok {
		if action == "" {
			return "must say which action after *., like *.exec"
		}
		v = action
	}
	if strings.Contains(strings.TrimSuffix(v, "*"), "*") {
		return "may have one * at its end, and *. at its beginning for every resource type"
	}
	return ""
}

func oneOf(what string, allowed []string) func(string) string {
	return func(v string) string {
		if slices.Contains(allowed, v) {
			return ""
		}
		return fmt.Sprintf("is no %s; use one of %s", what, strings.Join(allowed, ", "))
	}
}

// textual says what is wrong with the characters of a value. What could not
// stand in an event as it is stored would match nothing, or something else.
func textual(v string) string {
	if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return "must be UTF-8 without NUL"
	}
	return ""
}

// Shorten cuts what an error repeats of a question.
func Shorten(v string) string {
	const most = 64
	if utf8.RuneCountInString(v) <= most {
		return v
	}
	return string([]rune(v)[:most]) + "…"
}

// ParsePrefix reads an address or a CIDR range, as a range: masked, and an
// IPv4-mapped one as IPv4. Zones are refused.
func ParsePrefix(s string) (netip.Prefix, error) {
	wrong := &FieldError{Field: "ip", Value: Shorten(s), Problem: "is no address and no CIDR range; use one like 192.0.2.7 or 10.0.0.0/8"}
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, wrong
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, wrong
	}
	if p.Addr().Is4In6() {
		// A range that is wider than the mapped addresses is not one of IPv4.
		if p.Bits() < 96 {
			return netip.Prefix{}, wrong
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// FormatPrefix writes what ParsePrefix reads; a range of one address as the address.
func FormatPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
