package audit

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/redact"
)

// redactAnswer redacts the body of an answer, which is a status where the request
// was refused.
func redactAnswer(by redact.Policy, ref *wireObjectRef, body jsontext.Value) jsontext.Value {
	if bytes.Contains(body, []byte(`"kind":"Status"`)) && bytes.Contains(body, []byte(`"status":"Failure"`)) {
		body = redactStatus(by, body, ref.isQuoted())
	}
	return by.Body(body, ref.kind())
}

// redactRefusal redacts what the refusal of an object quotes of it where texts
// alone don't say what it is: the value of a field that is named beside it, and
// the difference between what was and what should have been.
func redactRefusal(by redact.Policy, status jsontext.Value) jsontext.Value {
	if !bytes.Contains(status, []byte(`"code":422`)) {
		return status
	}
	members, changed := map[string]jsontext.Value{}, false
	if json.Unmarshal(status, &members, parseOptions) != nil {
		return redactedValue // it may be one that quotes
	}
	replace := func(in map[string]jsontext.Value, name string, redacted func(string) string) {
		var text string
		if json.Unmarshal(in[name], &text) != nil {
			return // there is none
		}
		if out := redacted(text); out != text {
			in[name], changed = written(out), true
		}
	}
	replace(members, "message", withoutDifference)
	details := map[string]jsontext.Value{}
	var causes []map[string]jsontext.Value
	if json.Unmarshal(members["details"], &details, parseOptions) == nil && json.Unmarshal(details["causes"], &causes, parseOptions) == nil {
		for _, cause := range causes {
			var field string
			_ = json.Unmarshal(cause["field"], &field) // it may have none
			replace(cause, "message", func(text string) string { return redactCause(by, field, withoutDifference(text)) })
		}
	}
	if !changed {
		return status
	}
	if causes != nil {
		details["causes"] = written(causes)
		members["details"] = written(details)
	}
	return written(members)
}

// redactCause redacts what is wrong with a field as if it stood behind its name.
func redactCause(by redact.Policy, field, text string) string {
	if field == "" {
		return text
	}
	whole := field + ": " + text
	out := by.Text(whole)
	if out == whole {
		return text
	}
	rest, ok := strings.CutPrefix(out, field+": ")
	if !ok {
		return Redacted
	}
	return rest
}

// withoutDifference takes out the lines of a difference between two objects,
// which stand behind the first.
func withoutDifference(text string) string {
	first, rest, _ := strings.Cut(text, "\n")
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") {
			return first + "\n" + Redacted
		}
	}
	return text
}

// written is a value as JSON, or the mark where it can't be.
func written(v any) jsontext.Value {
	out, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return redactedValue
	}
	return out
}
