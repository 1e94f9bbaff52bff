package redact

import (
	"bytes"
	"net/url"
	"strings"
)

// URI takes out of the URI of a request what is secret in its path and in its
// query. The rest stays as it was written.
func (p Policy) URI(uri string) (redacted string) {
	defer takeOut(&redacted, Mark)
	path, query, ok := strings.Cut(uri, "?")
	if strings.IndexByte(path, '%') < 0 && !suspicious(bytesOf(path)) && (!ok || !p.DropExecArguments && isHarmless(query)) {
		return uri
	}
	r := redactor{Policy: p}
	return r.uri(uri)
}

// URI is Policy.URI, of which the default policy says no more.
func URI(uri string) string { return Policy{}.URI(uri) }

func (r *redactor) uri(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if redacted := r.path(path); redacted != path {
		path = redacted
	} else if !ok || !r.DropExecArguments && isHarmless(query) {
		return uri
	}
	if !ok {
		return path
	}
	return path + "?" + r.query(query)
}

// isHarmless reports whether it is plain to see that nothing in a query is
// secret. Most have a few parameters without escapes.
func isHarmless(query string) bool {
	for more := true; more; {
		var param string
		param, query, more = strings.Cut(query, "&")
		name, value, _ := strings.Cut(param, "=")
		if strings.IndexByte(param, '%') >= 0 || strings.IndexByte(param, '+') >= 0 || name == "command" || name == "cmd" || names.isSecretParameter(bytesOf(name)) || suspicious(bytesOf(value)) {
			return false
		}
	}
	return true
}

// path redacts a path: tokens and what is set in it.
func (r *redactor) path(path string) string {
	decoded := path
	if strings.IndexByte(path, '%') >= 0 {
		if p, err := url.PathUnescape(path); err == nil {
			decoded = p
		}
	}
	if !suspicious(bytesOf(decoded)) {
		return path
	}
	out, changed := r.pathText([]byte(decoded))
	switch {
	case !changed:
		return path
	case decoded == path:
		return out
	}
	return (&url.URL{Path: out}).EscapedPath()
}

// pathText redacts a path as it reads. The names of an OpenShift cluster's
// tokens are hashes of them and look the same; they are what an auditor looks for.
func (r *redactor) pathText(path []byte) (string, bool) {
	f := finder{redactor: r, text: path}
	f.settings()
	f.proxied()
	if !strings.Contains(string(path), "/apis/oauth.openshift.io/") {
		f.tokens()
	}
	out, changed := f.cut()
	return string(out), changed
}

// proxied takes out what stands before the host in the name of what a request is
// proxied to, services/http:user:x@host/proxy, or of an address without a scheme.
// Names of users have the same form elsewhere and stay.
func (f *finder) proxied() {
	at, before := 0, []byte("services")
	for segment := range bytes.SplitSeq(f.text, []byte("/")) {
		host := bytes.LastIndexByte(segment, '@')
		if host >= 0 && isOneOf(before, "services", "pods", "nodes", "") {
			from := 0
			for _, scheme := range []string{"http:", "https:"} {
				if bytes.HasPrefix(segment, []byte(scheme)) {
					from = len(scheme)
				}
			}
			if colon := bytes.IndexByte(segment[from:max(host, from)], ':'); colon >= 0 {
				f.take(at+from+colon+1, at+host)
			}
		}
		at, before = at+len(segment)+1, segment
	}
}

// query redacts the parameters of a query. Those that are the words of a command
// are read as one.
func (r *redactor) query(query string) string {
	params := strings.Split(query, "&")
	var words []string
	var places []int
	for i, param := range params {
		rawName, rawValue, _ := strings.Cut(param, "=")
		name, errName := url.QueryUnescape(rawName)
		value, errValue := url.QueryUnescape(rawValue)
		switch {
		case errName != nil || errValue != nil:
			params[i] = Mark // what can't be read can't be known to be harmless
		case name == "command" || name == "cmd":
			words, places = append(words, value), append(places, i)
		case names.isSecretParameter(bytesOf(name)):
			if rawValue != "" {
				params[i] = rawName + "=" + Mark
			}
		default:
			params[i] = r.parameter(param, rawName, value)
		}
	}
	before := append([]string(nil), words...)
	if r.Policy.Arguments(words) {
		for n, i := range places {
			if words[n] != before[n] {
				rawName, _, _ := strings.Cut(params[i], "=")
				params[i] = rawName + "=" + url.QueryEscape(words[n])
			}
		}
	}
	return strings.Join(params, "&")
}

// parameter redacts one parameter by its value.
func (r *redactor) parameter(param, rawName, value string) string {
	if rawName == param { // without a value: all of it is a text
		if name, err := url.QueryUnescape(param); err == nil {
			if out, changed := r.text([]byte(name)); changed {
				return url.QueryEscape(string(out))
			}
		}
		return param
	}
	if out, changed := r.text([]byte(value)); changed {
		return rawName + "=" + url.QueryEscape(string(out))
	}
	// Escaped twice, as what goes through a proxy.
	if again, err := url.QueryUnescape(value); err == nil && again != value {
		if _, changed := r.text([]byte(again)); changed {
			return rawName + "=" + Mark
		}
	}
	return param
}
