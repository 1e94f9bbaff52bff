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
	if f := FieldOf(parameter); f != nil {
		return f.literal(text)
	}
	return text
}

func (f *Field) literal(text string) string {
	if f.Text && (strings.HasPrefix(text, literalMark) || strings.Contains(text, "*") || f.special != nil && f.special(text)) {
		return literalMark + text
	}
	return text
}

// IsLiteral returns the text that a value of a field, by its parameter, stands
// for, where it begins with =.
func IsLiteral(parameter, v string) (text string, ok bool) {
	if f := FieldOf(parameter); f != nil {
		return f.cutMark(v)
	}
	return v, false
}

// cutMark returns the text after the mark of a literal value.
func (f *Field) cutMark(v string) (text string, ok bool) {
	if text, ok = strings.CutPrefix(v, literalMark); !ok || !f.Text {
		return v, false
	}
	return text, true
}

// Exact returns the text that a value of a field of text without patterns
// stands for.
func Exact(v string) string { return strings.TrimPrefix(v, literalMark) }

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

// literals are the texts that values of a field without patterns stand for.
func literals(values []string) []Pattern {
	patterns := make([]Pattern, len(values))
	for i, v := range values {
		patterns[i].Text = Exact(v)
	}
	return patterns
}

// texts are what values stand for that have no marks at all.
func texts(values []string) []Pattern {
	patterns := make([]Pattern, len(values))
	for i, v := range values {
		patterns[i].Text = v
	}
	return patterns
}

func upperTexts(values []string) []Pattern {
	patterns := texts(values)
	for i := range patterns {
		patterns[i].Text = strings.ToUpper(patterns[i].Text)
	}
	return patterns
}

// beginning leaves out the * after the beginning of a text, which means the same
// without it.
func beginning(v string) string {
	if text, open := strings.CutSuffix(v, "*"); open && text != "" && !strings.Contains(text, "*") {
		return text
	}
	return v
}

// beginnings are what values stand for that match whatever begins so.
func beginnings(values []string) []Pattern {
	patterns := Patterns(values)
	for i, v := range values {
		patterns[i].Open = !strings.HasPrefix(v, literalMark)
	}
	return patterns
}

func anyText(string) bool { return true }

// Canonical returns a field's values, by its parameter, without repetitions,
// each in the one form that its meaning has: = before those alone that need it.
// It never returns its argument.
func Canonical(parameter string, values []string) []string {
	f := FieldOf(parameter)
	var out []string
	for _, v := range values {
		if v = f.canonical(v); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (f *Field) canonical(v string) string {
	text, literal := f.cutMark(v)
	switch {
	case literal && text != "":
		return f.literal(text)
	case !literal && f.fold != nil:
		return f.fold(v)
	}
	return v
}
