package audit

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/redact"
)

// Redacted stands where a secret was.
const Redacted = redact.Mark

var redactedValue = jsontext.Value(`"` + Redacted + `"`)

// RedactURI returns a request's URI as events have it: what is secret in it, or
// looks so, is replaced.
func RedactURI(uri string) string { return redact.URI(uri) }

// redact takes out of the event what may be secret. It reports whether that
// changed how the event is written.
func (w *wireEvent) redact(by redact.Policy, clean plainTexts) (changed bool) {
	replace := func(v *jsontext.Value, by jsontext.Value) {
		changed = changed || !bytes.Equal(*v, by)
		*v = by
	}
	text := func(s *string, by string) {
		changed = changed || *s != by
		*s = by
	}
	if w.ObjectRef.holdsSecrets() {
		replace(&w.RequestObject, redactBody(w.RequestObject))
		replace(&w.ResponseObject, redactBody(w.ResponseObject))
	} else {
		kind := w.ObjectRef.kind()
		replace(&w.RequestObject, by.Body(w.RequestObject, kind))
		replace(&w.ResponseObject, redactAnswer(by, w.ObjectRef, w.ResponseObject))
	}
	replace(&w.ResponseStatus, redactStatus(by, w.ResponseStatus, w.ObjectRef.isQuoted()))
	text(&w.RequestURI, by.URI(w.RequestURI))
	text(&w.UserAgent, clean.redact(by, w.UserAgent))
	for i := range w.Annotations {
		m := &w.Annotations[i]
		text(&m.value, redactAnnotation(by, clean, w.ObjectRef, m.name, m.value))
	}
	for _, u := range []*wireUser{&w.User, w.ImpersonatedUser} {
		if u != nil {
			changed = u.Extra.redact(by, clean) || changed
			replace(&u.Unknown, by.Body(u.Unknown, redact.Other))
		}
	}
	replace(&w.Unknown, by.Body(w.Unknown, redact.Other))
	if w.AuthenticationMetadata != nil {
		replace(&w.AuthenticationMetadata.Unknown, by.Body(w.AuthenticationMetadata.Unknown, redact.Other))
	}
	if w.ObjectRef != nil {
		replace(&w.ObjectRef.Unknown, by.Body(w.ObjectRef.Unknown, redact.Other))
	}
	return changed
}

// plainTexts remembers short texts in which nothing is secret: user agents,
// reasons and credential ids come again and again.
type plainTexts map[string]struct{}

const (
	maxPlainTexts     = 512
	maxPlainTextBytes = 256
)

func (known plainTexts) redact(by redact.Policy, text string) string {
	if _, ok := known[text]; ok {
		return text
	}
	out := by.Text(text)
	// What one policy leaves another may take out.
	if known != nil && by == (redact.Policy{}) && out == text && len(text) <= maxPlainTextBytes {
		if len(known) >= maxPlainTexts {
			clear(known)
		}
		known[strings.Clone(text)] = struct{}{}
	}
	return out
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// redactAnnotation redacts an annotation of the event. The API server writes
// the patches of admission webhooks there, with whatever they put into an object.
func redactAnnotation(by redact.Policy, clean plainTexts, ref *wireObjectRef, name, value string) string {
	switch {
	case strings.HasPrefix(name, "patch.webhook.admission.k8s.io/"), name == lastApplied:
		if ref.holdsSecrets() {
			return Redacted
		}
		return by.Document(value, ref.kind())
	case !isOfKubernetes(name) && redact.SecretName(name):
		return Redacted
	}
	return clean.redact(by, value)
}

// isOfKubernetes reports whether a name is one of Kubernetes itself, such as
// authentication.k8s.io/legacy-token: what stands under it is the API server's.
func isOfKubernetes(name string) bool {
	domain, _, ok := strings.Cut(name, "/")
	return ok && (strings.HasSuffix(domain, "k8s.io") || strings.HasSuffix(domain, "kubernetes.io"))
}

func (m listMap) redact(by redact.Policy, clean plainTexts) (changed bool) {
	for _, extra := range m {
		secret := !isOfKubernetes(extra.name) && redact.SecretName(extra.name)
		for i, value := range extra.values {
			redacted := Redacted
			if !secret {
				redacted = clean.redact(by, value)
			}
			changed = changed || redacted != value
			extra.values[i] = redacted
		}
	}
	return changed
}

// holdsSecrets reports whether a request's bodies are nothing but secret.
func (o *wireObjectRef) holdsSecrets() bool {
	if o == nil {
		return false
	}
	switch o.APIGroup {
	case "":
		return o.Resource == "secrets" || o.Resource == "serviceaccounts" && o.Subresource == "token"
	case "authentication.k8s.io":
		return o.Resource == "tokenreviews"
	case "bitnami.com", "secrets.hashicorp.com":
		return true
	}
	return false
}

// isQuoted reports whether a refusal may quote what should not be kept.
func (o *wireObjectRef) isQuoted() bool {
	return o.holdsSecrets() || o != nil && o.APIGroup == "" && o.Resource == "configmaps"
}

func (o *wireObjectRef) kind() redact.Kind {
	if o == nil {
		return redact.Other
	}
	return redact.KindOfResource(o.APIGroup, o.Resource)
}

func redactBody(body jsontext.Value) jsontext.Value {
	if len(body) == 0 {
		return body
	}
	return redactedValue
}

// plainStatus begins the status of nearly all requests, in which no text is.
const plainStatus = `{"metadata":{},"code":`

// redactStatus redacts the texts of an answer. Those of a refusal go where it
// may quote the refused object and that should not be kept.
func redactStatus(by redact.Policy, status jsontext.Value, quoted bool) jsontext.Value {
	if len(status) == 0 || string(status) == "null" || bytes.HasPrefix(status, []byte(plainStatus)) && len(status) == len(plainStatus)+4 {
		return status
	}
	if !quoted {
		return by.Body(redactRefusal(status), redact.Other)
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(status, &members, parseOptions) != nil {
		return redactedValue // it may be one that quotes
	}
	switch string(members["code"]) {
	case "400", "422":
	default:
		return by.Body(status, redact.Other)
	}
	for _, name := range []string{"message", "details"} {
		if _, ok := members[name]; ok {
			members[name] = redactedValue
		}
	}
	out, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return redactedValue
	}
	return out
}

// redactItem redacts an item that is no event, by its structure; nil if it is
// not JSON.
func redactItem(by redact.Policy, item []byte) []byte {
	v := jsontext.Value(item)
	if len(item) == 0 || !v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	if k := v.Kind(); k != '{' && k != '[' {
		return nil // a bare text may be anything
	}
	out := by.Body(v, redact.Other)
	if bytes.Equal(out, redactedValue) {
		return nil
	}
	return out
}

// redactContent redacts what an envelope carried and what is no event: what it
// stood in is not known, such as the data of a Secret, so that only names stay.
func redactContent(by redact.Policy, content []byte) []byte {
	if len(content) == 0 || !jsontext.Value(content).IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	if k := jsontext.Value(content).Kind(); k != '{' && k != '[' {
		return nil
	}
	out := by.Names(content)
	if bytes.Equal(out, redactedValue) {
		return nil
	}
	return out
}

// mayBeEvent reports whether an item has what only events have.
func mayBeEvent(item []byte) bool {
	var members map[string]jsontext.Value
	if json.Unmarshal(item, &members, laxOptions) != nil {
		return false
	}
	for _, name := range []string{"auditID", "requestURI", "stage", "requestReceivedTimestamp"} {
		if _, ok := members[name]; ok {
			return true
		}
	}
	return false
}
