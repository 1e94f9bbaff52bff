package query

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a filter.
const (
	MaxValues       = 100 // of one field
	MaxValueLength  = 256 // characters of one value, but for the = before a literal one; some fields take more
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
	for _, field := range Fields {
		values := field.Values(t)
		if len(values) > MaxValues {
			errs = append(errs, &FieldError{Field: field.Name + suffix, Problem: fmt.Sprintf("must have at most %d values, not %d", MaxValues, len(values))})
			continue
		}
		for _, v := range values {
			if problem := field.problem(v); problem != "" {
				errs = append(errs, &FieldError{Field: field.Name + suffix, Value: Shorten(v), Problem: problem})
			}
		}
	}
	return errs
}

// problem says what is wrong with a value, or nothing.
func (f *Field) problem(v string) string {
	v, literal := f.cutMark(v)
	switch {
	case literal && v == "":
		return "must have a text after ="
	case v == "":
		return "must not be empty"
	case utf8.RuneCountInString(v) > f.MaxLength():
		return fmt.Sprintf("must have at most %d characters", f.MaxLength())
	}
	if problem := textual(v); problem != "" {
		return problem
	}
	if literal {
		return ""
	}
	return f.check(v)
}

func resourceType(v string) string {
	if !resourceTypePattern.MatchString(v) {
		return "is no resource type; use lower-case letters, digits and _, like environment_group"
	}
	return ""
}

func address(v string) string {
	p, err := ParsePrefix(v)
	if err != nil || FormatPrefix(p) != v {
		return "is no address and no masked CIDR range; use one like 192.0.2.7 or 10.0.0.0/8"
	}
	return ""
}

func statusCode(v string) string {
	if !statusCodePattern.MatchString(v) {
		return "is no status code; use 100 to 599 or a class from 1xx to 5xx"
	}
	return ""
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
