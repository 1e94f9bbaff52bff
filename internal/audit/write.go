package audit

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// append writes the event as one JSON object on one line, its members in the
// order of audit/v1 and then what is unknown, as short as they can be. It needs
// valid texts, and values without white space other than for wireText.
func (w *wireEvent) append(b []byte) ([]byte, error) {
	o := writer{b: append(b, '{')}
	o.wireText("kind", w.Kind)
	o.wireText("apiVersion", w.APIVersion)
	o.text("level", w.Level)
	o.text("auditID", w.AuditID)
	o.text("stage", w.Stage)
	o.text("requestURI", w.RequestURI)
	o.text("verb", w.Verb)
	o.user("user", &w.User)
	if w.ImpersonatedUser != nil {
		o.unlessEmpty(func() { o.user("impersonatedUser", w.ImpersonatedUser) })
	}
	if a := w.AuthenticationMetadata; a != nil {
		o.unlessEmpty(func() {
			o.open("authenticationMetadata")
			o.text("impersonationConstraint", a.ImpersonationConstraint)
			o.members(a.Unknown)
			o.close()
		})
	}
	o.list("sourceIPs", w.SourceIPs)
	o.text("userAgent", w.UserAgent)
	if w.ObjectRef != nil {
		o.unlessEmpty(func() { o.objectRef(w.ObjectRef) })
	}
	o.value("responseStatus", w.ResponseStatus)
	o.value("requestObject", w.RequestObject)
	o.value("responseObject", w.ResponseObject)
	o.wireText("requestReceivedTimestamp", w.RequestReceivedTimestamp)
	o.wireText("stageTimestamp", w.StageTimestamp)
	if len(w.Annotations) > 0 {
		o.open("annotations")
		for _, m := range w.Annotations {
			o.name(m.name)
			o.quote(m.value)
		}
		o.close()
	}
	o.members(w.Unknown)
	o.close()
	return o.b, o.err
}

// writer appends members to an object that is open.
type writer struct {
	b   []byte
	err error
}

var errUnwritable = errors.New("can't be written as JSON")

func (o *writer) user(name string, u *wireUser) {
	o.open(name)
	o.text("username", u.Username)
	o.text("uid", u.UID)
	o.list("groups", u.Groups)
	if len(u.Extra) > 0 {
		o.open("extra")
		for _, m := range u.Extra {
			o.name(m.name)
			o.texts(m.values)
		}
		o.close()
	}
	o.members(u.Unknown)
	o.close()
}

func (o *writer) objectRef(r *wireObjectRef) {
	o.open("objectRef")
	o.text("resource", r.Resource)
	o.text("namespace", r.Namespace)
	o.text("name", r.Name)
	o.text("uid", r.UID)
	o.text("apiGroup", r.APIGroup)
	o.text("apiVersion", r.APIVersion)
	o.text("resourceVersion", r.ResourceVersion)
	o.text("subresource", r.Subresource)
	o.members(r.Unknown)
	o.close()
}

func (o *writer) open(name string) {
	o.name(name)
	o.b = append(o.b, '{')
}

func (o *writer) close() { o.b = append(o.b, '}') }

// unlessEmpty takes a member away again if its value turns out to be {}.
func (o *writer) unlessEmpty(write func()) {
	before := len(o.b)
	write()
	if o.b[len(o.b)-2] == '{' {
		o.b = o.b[:before]
	}
}

func (o *writer) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.quote(name)
	o.b = append(o.b, ':')
}

func (o *writer) text(name, text string) {
	if text != "" {
		o.name(name)
		o.quote(text)
	}
}

func (o *writer) list(name string, texts []string) {
	if len(texts) > 0 {
		o.name(name)
		o.texts(texts)
	}
}

func (o *writer) texts(texts []string) {
	o.b = append(o.b, '[')
	for i, text := range texts {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.quote(text)
	}
	o.b = append(o.b, ']')
}

func (o *writer) quote(text string) {
	begin := len(o.b)
	o.b = append(append(o.b, '"'), text...)
	if plainLength(o.b[begin+1:]) == len(text) {
		o.b = append(o.b, '"')
		return
	}
	o.b, _ = jsontext.AppendQuote(o.b[:begin], text) // which replaces what is no UTF-8
}

func (o *writer) value(name string, v jsontext.Value) {
	if !isEmptyValue(v) {
		o.name(name)
		o.b = append(o.b, v...)
	}
}

func (o *writer) wireText(name string, t wireText) {
	v := jsontext.Value(t)
	if len(t) > 0 && !t.isPlain() {
		formatted, err := jsontext.AppendFormat(nil, v, parseOptions)
		if err != nil {
			o.err = errUnwritable
		}
		v = formatted
	}
	if len(v) > 0 {
		o.name(name)
		o.b = append(o.b, v...)
	}
}

// members writes the members of an object, if there is one, into that which is
// open.
func (o *writer) members(v jsontext.Value) {
	if len(v) == 0 {
		return
	}
	if v[0] != '{' {
		o.err = errUnwritable
		return
	}
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, v[1:len(v)-1]...)
}

// isEmptyValue reports whether a value is left out: API servers write none
// such.
func isEmptyValue(v jsontext.Value) bool {
	switch string(v) {
	case "", "null", `""`, "{}", "[]":
		return true
	}
	return false
}
