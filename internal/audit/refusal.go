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
	if isRefusal(body) {
		body = redactStatus(by, body, ref.isQuoted())
	}
	return by.Body(body, ref.kind())
}

// isRefusal looks for the words before it reads: few answers have them. What
// carries a body may have written it with spaces of its own.
func isRefusal(body jsontext.Value) bool {
	if !bytes.Contains(body, []byte(`"Failure"`)) || !bytes.Contains(body, []byte(`"Status"`)) {
		return false
	}
	var b struct {
		Kind   any `json:"kind"`
		Status any `json:"status"`
	}
	return json.Unmarshal(body, &b, parseOptions) == nil && b.Kind == "Status" && b.Status == "Failure"
}

// redactRefusal takes out of the refusal of an object the difference between what
// was and what should have been: texts alone don't say what its lines are.
func redactRefusal(status jsontext.Value) jsontext.Value {
	if !bytes.Contains(status, []byte("422")) {
		return status
	}
	members, changed := map[string]jsontext.Value{}, false
	if json.Unmarshal(status, &members, parseOptions) != nil {
		return redactedValue // it may be one that quotes
	}
	if string(members["code"]) != "422" {
		return status
	}
	replace := func(in map[string]jsontext.Value, name string) {
		var text string
		if json.Unmarshal(in[name], &text) != nil {
			return // there is none
		}
		if out := withoutDifference(text); out != text {
			in[name], changed = written(out), true
		}
	}
	replace(members, "message")
	details := map[string]jsontext.Value{}
	var causes []map[string]jsontext.Value
	if json.Unmarshal(members["details"], &details, parseOptions) == nil && json.Unmarshal(details["causes"], &causes, parseOptions) == nil {
		for _, cause := range causes {
			replace(cause, "message")
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
