package query

import (
	"slices"
	"strings"
)

// literalMark begins a value of a field of text that is literal after it: =a*
// is the text a*, ==x is =x, and =- is a namespace of the name -. Nothing else
// escapes; a backslash would break the names of Active Directory.
const literalMark = "="

// Literal returns the value of a field, by its parameter, that matches a text
// and nothing else: the text itself, or the text after = where it would mean
// something else.
func Literal(parameter, text string) string {
	marked := strings.HasPrefix(text, literalMark) || strings.Contains(text, "*") ||
		parameter == string(ByNamespace) && text == NoNamespace
	if marked && isFreeText(parameter) {
		return literalMark + text
	}
	return text
}

// IsLiteral returns the text that a value of a field, by its parameter, stands
// for, where it begins with =.
func IsLiteral(parameter, v string) (text string, ok bool) {
	if text, ok = strings.CutPrefix(v, literalMark); !ok || !isFreeText(parameter) {
		return v, false
	}
	return text, true
}

// Exact returns the text that a value of a field of text without patterns
// stands for.
func Exact(v string) string { return strings.TrimPrefix(v, literalMark) }

// Texts are what Exact makes of each value.
func Texts(values []string) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = Exact(v)
	}
	return texts
}

// Pattern is what a value of a field of text stands for: a text, or where it is
// Open every text that begins so.
type Pattern struct {
	Text string
	Open bool
}

// Patterns are what values of a field of text stand for.
func Patterns(values []string) []Pattern {
	patterns := make([]Pattern, len(values))
	for i, v := range values {
		patterns[i] = patternOf(v)
	}
	return patterns
}

func patternOf(v string) (p Pattern) {
	if text, literal := strings.CutPrefix(v, literalMark); literal {
		return Pattern{Text: text}
	}
	p.Text, p.Open = strings.CutSuffix(v, "*")
	return p
}

// PathPatterns are what values of paths stand for. One that is given without a
// query matches whatever its query is; an empty one matches none.
func PathPatterns(values []string) []Pattern {
	var patterns []Pattern
	for _, p := range Patterns(values) {
		if p == (Pattern{}) {
			continue
		}
		patterns = append(patterns, p)
		if !p.Open && !strings.Contains(p.Text, "?") {
			patterns = append(patterns, Pattern{Text: p.Text + "?", Open: true})
		}
	}
	return patterns
}

// Canonical returns a field's values without repetitions, each in the one form
// that its meaning has: = before those alone that need it. It never returns its
// argument.
func Canonical(parameter string, values []string) []string {
	var out []string
	for _, v := range values {
		if text, literal := IsLiteral(parameter, v); literal && text != "" {
			v = Literal(parameter, text)
		}
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// isFreeText reports whether a field's values are any texts, so that = begins a
// literal one.
func isFreeText(parameter string) bool {
	return slices.Contains(termFieldsOfText, parameter)
}

// termFieldsOfText are the parameters of the fields of text.
var termFieldsOfText = []string{
	"actor", "action", "resource_name", "cluster", "namespace", "source", "path",
}
