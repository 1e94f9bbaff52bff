package audit

import (
	"bytes"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

var redactedValue = jsontext.Value(`"` + Redacted + `"`)

// redact takes out of the event what may be secret.
func (w *wireEvent) redact() {
	if w.ObjectRef.holdsSecrets() {
		w.RequestObject, w.ResponseObject = redactBody(w.RequestObject), redactBody(w.ResponseObject)
		w.ResponseStatus = redactStatus(w.ResponseStatus)
	} else {
		w.RequestObject, w.ResponseObject = redactByKey(w.RequestObject), redactByKey(w.ResponseObject)
	}
	w.RequestURI = redactURI(w.RequestURI)
	w.User.redact()
	if w.ImpersonatedUser != nil {
		w.ImpersonatedUser.redact()
	}
	for name := range w.Annotations {
		// The API server writes the patches of admission webhooks here, with
		// whatever they put into an object.
		if strings.HasPrefix(name, "patch.webhook.admission.k8s.io/") || name == lastApplied {
			w.Annotations[name] = Redacted
		}
	}
	w.Unknown = redactByKey(w.Unknown)
	w.User.Unknown = redactByKey(w.User.Unknown)
	if w.ObjectRef != nil {
		w.ObjectRef.Unknown = redactByKey(w.ObjectRef.Unknown)
	}
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func (u *wireUser) redact() {
	for name, values := range u.Extra {
		if strings.HasPrefix(name, "authentication.kubernetes.io/") || !isSecretKey(name) {
			continue
		}
		for i := range values {
			values[i] = Redacted
		}
	}
}

// holdsSecrets reports whether a request's bodies are nothing but secret, or
// commonly hold what should be.
func (o *wireObjectRef) holdsSecrets() bool {
	if o == nil {
		return false
	}
	switch o.APIGroup {
	case "":
		return o.Resource == "secrets" || o.Resource == "configmaps" || o.Resource == "serviceaccounts" && o.Subresource == "token"
	case "authentication.k8s.io":
		return o.Resource == "tokenreviews"
	case "bitnami.com", "secrets.hashicorp.com":
		return true
	}
	return false
}

func redactBody(body jsontext.Value) jsontext.Value {
	if len(body) == 0 {
		return body
	}
	return redactedValue
}

// redactStatus takes out the texts of a refusal that quotes the refused object.
func redactStatus(status jsontext.Value) jsontext.Value {
	var members map[string]jsontext.Value
	if len(status) == 0 || json.Unmarshal(status, &members, parseOptions) != nil {
		return redactByKey(status)
	}
	switch string(members["code"]) {
	case "400", "422":
	default:
		return status
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

// redactItem redacts an item that is no event, by its keys; nil if it is not
// JSON.
func redactItem(item []byte) []byte {
	v := jsontext.Value(item)
	if len(item) == 0 || !v.IsValid(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	if k := v.Kind(); k != '{' && k != '[' {
		return nil // a bare text may be anything
	}
	out := redactByKey(v)
	if bytes.Equal(out, redactedValue) {
		return nil
	}
	return out
}

// redactByKey copies a value and replaces what stands under the name of a
// secret. It knows API objects: data, environment variables, and JSON patches.
func redactByKey(v jsontext.Value) jsontext.Value {
	if len(v) == 0 {
		return v
	}
	opts := []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}
	var out bytes.Buffer
	dec := jsontext.NewDecoder(bytes.NewReader(v), opts...)
	enc := jsontext.NewEncoder(&out, opts...)
	if err := copyRedacted(dec, enc, v.Kind() == '['); err != nil {
		return redactedValue
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func copyRedacted(dec *jsontext.Decoder, enc *jsontext.Encoder, isPatch bool) error {
	var names []string // of the objects that the decoder is in; "" for an array
	for {
		kind, isName := dec.PeekKind(), false
		if opener, length := dec.StackIndex(dec.StackDepth()); opener == '{' && kind == '"' {
			isName = length%2 == 0
		}
		tok, err := dec.ReadToken()
		if err != nil {
			return err
		}
		text := ""
		if isName {
			text = tok.String()
		} else if kind == '"' {
			text = tok.String()
			if redacted := redactText(names, text); redacted != text {
				tok = jsontext.String(redacted)
			}
		}
		if err := enc.WriteToken(tok); err != nil {
			return err
		}
		switch kind {
		case '{', '[':
			names = append(names, "")
		case '}', ']':
			names = names[:len(names)-1]
		}
		if isName {
			names[len(names)-1] = text
			if replaces(names, isPatch) {
				if err := dec.SkipValue(); err != nil {
					return err
				}
				if err := enc.WriteToken(jsontext.String(Redacted)); err != nil {
					return err
				}
			}
		}
		if dec.StackDepth() == 0 {
			return nil
		}
	}
}

// replaces reports whether the value under the last of the names is to go.
func replaces(names []string, isPatch bool) bool {
	name := names[len(names)-1]
	switch name {
	case "data", "stringData", "binaryData", lastApplied, "requestObject", "responseObject":
		return true
	case "value":
		// An environment variable: containers[].env[].value. Or what a JSON
		// patch sets, whose path may come after it.
		return len(names) >= 3 && names[len(names)-3] == "env" || isPatch && len(names) == 2
	}
	return isSecretKey(name)
}

// redactText looks into a text that has a form of its own.
func redactText(names []string, text string) string {
	if len(names) > 0 && names[len(names)-1] == "requestURI" {
		return redactURI(text)
	}
	return secretArgument.ReplaceAllString(text, "${1}"+Redacted)
}

var secretWords = []string{
	"password", "passwd", "passphrase", "token", "secret", "apikey", "accesskey", "privatekey",
	"credential", "authorization", "bearer", "cookie", "tls.key", "dockerconfig", "kubeconfig", "sshkey",
}

// Ends of names that hold the name of a secret or a switch, not the secret.
var plainEnds = []string{"name", "namespace", "ref", "refs", "keyref", "secrets", "path", "accounttoken", "credentialid", "expirationseconds", "type"}

// isSecretKey reports whether what stands under a name is likely secret.
func isSecretKey(name string) bool {
	folded := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
	for _, end := range plainEnds {
		if strings.HasSuffix(folded, end) {
			return false
		}
	}
	for _, word := range secretWords {
		if strings.Contains(folded, word) {
			return true
		}
	}
	return false
}

// secretArgument finds a secret in a command line: --password=x, TOKEN=x.
var secretArgument = regexp.MustCompile(`(?i)((?:password|passwd|passphrase|token|secret|api[-_]?key|access[-_]?key)[a-z0-9_-]*=)[^\s&"']+`)

var secretFlag = regexp.MustCompile(`(?i)^--?[a-z0-9-]*(?:password|passwd|passphrase|token|secret|api-?key|access-?key)[a-z0-9-]*$`)

// redactURI replaces secrets in the query of a request: parameters with the
// name of one, and arguments of a command. The rest stays as it was written.
func redactURI(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	params := strings.Split(query, "&")
	afterFlag := false
	for i, p := range params {
		rawName, rawValue, _ := strings.Cut(p, "=")
		name, errName := url.QueryUnescape(rawName)
		value, errValue := url.QueryUnescape(rawValue)
		switch {
		case errName != nil || errValue != nil:
			// What can't be read can't be known to be harmless.
			params[i] = Redacted
		case isSecretKey(name) || afterFlag && name == "command":
			params[i] = rawName + "=" + Redacted
		default:
			if redacted := secretArgument.ReplaceAllString(value, "${1}"+Redacted); redacted != value {
				params[i] = rawName + "=" + url.QueryEscape(redacted)
			}
		}
		afterFlag = name == "command" && secretFlag.MatchString(value)
	}
	return path + "?" + strings.Join(params, "&")
}
