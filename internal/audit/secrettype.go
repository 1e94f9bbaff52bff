package audit

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// isSecret reports whether a request is of a Secret itself.
func isSecret(e *Event) bool { return e.APIGroup == "" && e.Resource == "secrets" }

// secretType is the type of the Secret that a body of the event holds, or "".
func secretType(e *Event, w *wireEvent) string {
	for _, body := range []jsontext.Value{w.ResponseObject, w.RequestObject} {
		if !bytes.Contains(body, []byte(`"Secret"`)) {
			continue
		}
		if t, ok := lastType(body); ok {
			return t
		}
		var secret struct {
			Kind string `json:"kind"`
			Type string `json:"type"`
		}
		if json.Unmarshal(body, &secret, laxOptions) != nil || secret.Kind != "Secret" {
			continue
		}
		if secret.Type == "" && e.Verb == "create" {
			return "Opaque" // the API server's default
		}
		return secret.Type
	}
	return ""
}

// lastType reads the type of a Secret that is written as API servers write it,
// without parsing what is between: the kind first and the type last.
func lastType(body []byte) (string, bool) {
	rest, ok := bytes.CutSuffix(body, []byte(`"}`))
	if !ok || !bytes.HasPrefix(body, []byte(`{"kind":"Secret",`)) {
		return "", false
	}
	// The quote that opens the value follows a colon, so that none escapes it.
	open := bytes.LastIndexByte(rest, '"')
	if open < 0 || !bytes.HasSuffix(rest[:open], []byte(`,"type":`)) || bytes.IndexByte(rest[open:], '\\') >= 0 || open+1 == len(rest) {
		return "", false
	}
	return string(rest[open+1:]), true
}
