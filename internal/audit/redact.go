package audit

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

var redactedValue = jsontext.Value(`"` + Redacted + `"`)

// redact takes out of the event what may be secret. It reports whether that
// changed how the event is written.
func (w *wireEvent) redact() (changed bool) {
	replace := func(v *jsontext.Value, by jsontext.Value) {
		changed = changed || !bytes.Equal(*v, by)
		*v = by
	}
	if w.ObjectRef.holdsSecrets() {
		replace(&w.RequestObject, redactBody(w.RequestObject))
		replace(&w.ResponseObject, redactBody(w.ResponseObject))
		replace(&w.ResponseStatus, redactStatus(w.ResponseStatus))
	} else {
		replace(&w.RequestObject, redactByKey(w.RequestObject))
		replace(&w.ResponseObject, redactByKey(w.ResponseObject))
	}
	uri := redactURI(w.RequestURI)
	changed = changed || uri != w.RequestURI
	w.RequestURI = uri
	for i, m := range w.Annotations {
		// The API server writes the patches of admission webhooks here, with
		// whatever they put into an object.
		if strings.HasPrefix(m.name, "patch.webhook.admission.k8s.io/") || m.name == lastApplied {
			w.Annotations[i].value, changed = Redacted, true
		}
	}
	for _, u := range []*wireUser{&w.User, w.ImpersonatedUser} {
		if u != nil {
			changed = u.Extra.redact() || changed
			replace(&u.Unknown, redactByKey(u.Unknown))
		}
	}
	replace(&w.Unknown, redactByKey(w.Unknown))
	if w.AuthenticationMetadata != nil {
		replace(&w.AuthenticationMetadata.Unknown, redactByKey(w.AuthenticationMetadata.Unknown))
	}
	if w.ObjectRef != nil {
		replace(&w.ObjectRef.Unknown, redactByKey(w.ObjectRef.Unknown))
	}
	return changed
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func (m listMap) redact() (changed bool) {
	for _, extra := range m {
		if strings.HasPrefix(extra.name, "authentication.kubernetes.io/") || !isSecretKey(extra.name) {
			continue
		}
		for i := range extra.values {
			extra.values[i], changed = Redacted, true
		}
	}
	return changed
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
	if len(status) == 0 || string(status) == "null" {
		return status
	}
	if json.Unmarshal(status, &members, parseOptions) != nil {
		return redactedValue // it may be one that quotes
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

var secretWords = []string{
	"password", "passwd", "passphrase", "token", "secret", "apikey", "accesskey", "privatekey",
	"credential", "authorization", "bearer", "cookie", "tls.key", "dockerconfig", "kubeconfig", "sshkey",
}

// Ends of names that hold the name of a secret or a switch, not the secret.
var plainEnds = []string{"name", "namespace", "ref", "refs", "keyref", "secrets", "path", "accounttoken", "credentialid", "expirationseconds", "type"}

// secretWordsFrom has the words by their first byte.
var secretWordsFrom = func() (words [256][]string) {
	for _, word := range secretWords {
		words[word[0]] = append(words[word[0]], word)
	}
	return words
}()

// isSecretKey reports whether what stands under a name is likely secret.
func isSecretKey(name string) bool {
	if !isASCII(name) {
		name = strings.ToLower(name)
	}
	var space [64]byte
	folded := space[:0]
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_':
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c+'a'-'A')
		default:
			folded = append(folded, c)
		}
	}
	return holdsSecretWord(folded) && !slices.ContainsFunc(plainEnds, func(end string) bool {
		return bytes.HasSuffix(folded, []byte(end))
	})
}

func holdsSecretWord(folded []byte) bool {
	for i, c := range folded {
		for _, word := range secretWordsFrom[c] {
			if rest := folded[i:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
				return true
			}
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// secretArgument finds a secret in a command line: --password=x, TOKEN=x.
var secretArgument = regexp.MustCompile(`(?i)((?:password|passwd|passphrase|token|secret|api[-_]?key|access[-_]?key)[a-z0-9_-]*=)[^\s&"']+`)

var secretFlag = regexp.MustCompile(`(?i)^--?[a-z0-9-]*(?:password|passwd|passphrase|token|secret|api-?key|access-?key)[a-z0-9-]*$`)

func redactArguments(text string) string {
	if !mayHoldArgument(text) {
		return text
	}
	return secretArgument.ReplaceAllString(text, "${1}"+Redacted)
}

// mayHoldArgument spares most texts the regular expression: there must be an
// equals sign, and before it a word of which it knows.
func mayHoldArgument(text string) bool {
	before := text[:strings.LastIndexByte(text, '=')+1]
	if before == "" {
		return false
	}
	if !isASCII(before) {
		return true // more than ASCII folds to ASCII
	}
	for i := range len(before) {
		word := ""
		switch before[i] | 0x20 {
		case 'p':
			word = "pass"
		case 't':
			word = "token"
		case 's':
			word = "secret"
		case 'k':
			word = "key"
		default:
			continue
		}
		if rest := before[i:]; len(rest) > len(word) && strings.EqualFold(rest[:len(word)], word) {
			return true
		}
	}
	return false
}
