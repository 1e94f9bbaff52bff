package audit

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// laxOptions are for what clients write themselves: API servers take bodies in
// which a name is given twice, and log them as they came.
var laxOptions = json.JoinOptions(parseOptions, jsontext.AllowDuplicateNames(true))

// maxBodyDepth is how deep the values of a body may nest: readers of JSON stop
// at 10,000, and what is shown of an event lies within other objects.
const maxBodyDepth = 5000

// mend reads an event in which something is wrong. What a client may have had a
// hand in (bodies, the answer's status, annotations, a user's extra, texts, what
// nobody knows) costs no more than itself: a mark stands for what can't be kept.
func (p *parser) mend(item []byte) error {
	p.wire, p.mended = wireEvent{}, false
	m := mender{parser: p}
	skeleton, err := m.object(item, eventFields, m.eventMember)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(skeleton, &p.wire, parseOptions); err != nil {
		return err
	}
	w := &p.wire
	w.RequestObject, w.ResponseObject, w.ResponseStatus = m.requestObject, m.responseObject, m.responseStatus
	w.Annotations, w.Unknown = m.annotations, m.unknown.object()
	w.User.Extra, w.User.Unknown = m.user.extra, m.user.unknown.object()
	if w.ImpersonatedUser != nil {
		w.ImpersonatedUser.Extra, w.ImpersonatedUser.Unknown = m.impersonated.extra, m.impersonated.unknown.object()
	}
	if w.ObjectRef != nil {
		w.ObjectRef.Unknown = m.refUnknown.object()
	}
	if w.AuthenticationMetadata != nil {
		w.AuthenticationMetadata.Unknown = m.authenticationUnknown.object()
	}
	return p.complete()
}

// mender gathers what it takes out of an event to read it by itself.
type mender struct {
	*parser
	requestObject, responseObject, responseStatus jsontext.Value
	annotations                                   textMap
	user, impersonated                            mendedUser
	unknown, refUnknown, authenticationUnknown    memberList
}

type mendedUser struct {
	extra   listMap
	unknown memberList
}

// memberList is the inside of an object.
type memberList []byte

func (l *memberList) add(name, value []byte) {
	if len(*l) > 0 {
		*l = append(*l, ',')
	}
	*l = append(append(append(*l, name...), ':'), value...)
}

func (l memberList) object() jsontext.Value {
	if len(l) == 0 {
		return nil
	}
	return append(append([]byte{'{'}, l...), '}')
}

var (
	errStructure = errors.New("not an object as it should be")
	errTwice     = errors.New("an object has two members of one name")
)

// object copies an object. Of each member, take says what the copy has for its
// value; nothing for none. The name is empty where it is none of the fields',
// of which none may come twice.
func (m *mender) object(in []byte, fields []field, take func(name string, token, value []byte) []byte) ([]byte, error) {
	var out memberList
	seen := uint32(0)
	err := eachMember(in, func(token, value []byte) error {
		text := m.text(token)
		name := ""
		for i, f := range fields {
			if f.name != `"`+text+`":` {
				continue
			}
			if seen&(1<<i) != 0 {
				return errTwice
			}
			seen |= 1 << i
			name = text
		}
		if kept := take(name, token, value); len(kept) > 0 {
			out.add(quoteText(text), kept)
		}
		return nil
	})
	return append(append([]byte{'{'}, out...), '}'), err
}

// eachMember calls f for the members of an object.
func eachMember(in []byte, f func(token, value []byte) error) error {
	l := lexer{in: in}
	if !l.take('{') {
		return errStructure
	}
	for n := 0; ; n++ {
		if another, ok := l.more(n, '}'); !ok {
			return errStructure
		} else if !another {
			break
		}
		token, _, ok := l.token()
		if !ok || !l.take(':') {
			return errStructure
		}
		value, ok := l.value(math.MaxInt)
		if !ok {
			return errStructure
		}
		if err := f(token, value); err != nil {
			return err
		}
	}
	if l.peek() != 0 {
		return errStructure
	}
	return nil
}

func (m *mender) eventMember(name string, token, value []byte) []byte {
	switch name {
	case "":
		m.unknown.add(quoteText(m.text(token)), m.body(value))
	case "requestObject":
		m.requestObject = m.body(value)
	case "responseObject":
		m.responseObject = m.body(value)
	case "responseStatus":
		m.responseStatus = m.body(value)
	case "annotations":
		m.annotations = readMap(value, func(name string, value []byte) textMember { return textMember{name, m.value(value)} }, m.text)
		m.noteMap(value)
	case "user":
		return m.userObject(value, &m.user)
	case "impersonatedUser":
		return m.userObject(value, &m.impersonated)
	case "objectRef":
		return m.textsObject(value, objectRefFields, &m.refUnknown)
	case "authenticationMetadata":
		return m.textsObject(value, authenticationFields, &m.authenticationUnknown)
	default:
		return m.texts(value)
	}
	return nil
}

func (m *mender) userObject(in []byte, into *mendedUser) []byte {
	return m.nested(in, userFields, func(name string, token, value []byte) []byte {
		switch name {
		case "":
			into.unknown.add(quoteText(m.text(token)), m.body(value))
		case "extra":
			into.extra = readMap(value, func(name string, value []byte) listMember { return listMember{name, m.list(value)} }, m.text)
			m.noteMap(value)
		default:
			return m.texts(value)
		}
		return nil
	})
}

// textsObject copies an object whose known members are texts.
func (m *mender) textsObject(in []byte, fields []field, unknown *memberList) []byte {
	return m.nested(in, fields, func(name string, token, value []byte) []byte {
		if name == "" {
			unknown.add(quoteText(m.text(token)), m.body(value))
			return nil
		}
		return m.texts(value)
	})
}

// nested copies an object within the event; one that is wrong is left as it is,
// for the general parser to say why.
func (m *mender) nested(in []byte, fields []field, take func(name string, token, value []byte) []byte) []byte {
	out, err := m.object(in, fields, take)
	if err != nil {
		return in
	}
	return out
}

// body returns a value, or a mark for one that is not valid or too deep.
func (m *mender) body(value []byte) []byte {
	if isReadable(value) {
		return value
	}
	return quoted(m.mark(value))
}

func (m *mender) mark(value []byte) string {
	m.mended = true
	return mark(unread, int64(len(value)), m.key.Hash(value))
}

// isReadable reports whether a value is valid and not too deep.
func isReadable(value jsontext.Value) bool {
	return !isDeep(value) && value.IsValid(laxOptions)
}

func isDeep(value jsontext.Value) bool {
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return false
	}
	l := lexer{in: value}
	_, ok := l.value(maxBodyDepth)
	return !ok
}

// value is the text of an annotation.
func (m *mender) value(value []byte) string {
	switch {
	case string(value) == "null":
		return ""
	case value[0] == '"':
		return m.text(value)
	}
	return m.mark(value)
}

// list is what stands under a name of extra.
func (m *mender) list(value []byte) []string {
	var texts []string
	switch err := json.Unmarshal(value, &texts, laxOptions); {
	case err == nil:
		return texts
	case !isReadable(value) || value[0] != '[':
		return []string{m.mark(value)}
	}
	var values []jsontext.Value
	if json.Unmarshal(value, &values, laxOptions) != nil {
		return []string{m.mark(value)}
	}
	for _, v := range values {
		texts = append(texts, m.value(v))
	}
	return texts[len(texts)-len(values):]
}

// noteMap notes that a map could not be read.
func (m *mender) noteMap(value []byte) {
	if string(value) != "null" && eachMember(value, func(_, _ []byte) error { return nil }) != nil {
		m.mended = true
	}
}

// readMap reads an object of any members, sorted by name; a name may come
// twice. Of what is none, it has one member with a mark.
func readMap[M member](in []byte, read func(name string, value []byte) M, text func(token []byte) string) []M {
	var members []M
	if string(in) == "null" {
		return nil
	}
	err := eachMember(in, func(token, value []byte) error {
		members = append(members, read(text(token), value))
		return nil
	})
	if err != nil {
		return []M{read(leftOutAs, in)}
	}
	slices.SortStableFunc(members, func(a, b M) int { return cmp.Compare(a.key(), b.key()) })
	return members
}

// texts returns a value in which each text can be read.
func (m *mender) texts(value jsontext.Value) []byte {
	if value.IsValid(laxOptions) {
		return value
	}
	l := lexer{in: value}
	var out []byte
	for l.at < len(value) {
		if value[l.at] != '"' {
			out = append(out, value[l.at])
			l.at++
			continue
		}
		token, _, ok := l.token()
		if !ok {
			return value
		}
		out = append(out, quoteText(m.text(token))...)
	}
	return out
}

// text returns what a token says; what can't be read of it is replaced.
func (m *mender) text(token []byte) string {
	var text string
	if json.Unmarshal(token, &text, parseOptions) == nil {
		return text
	}
	m.mended = true
	var b strings.Builder
	for rest := unquoted(token); len(rest) > 0; {
		size := 1
		if rest[0] == '\\' && len(rest) > 1 {
			if size = 2; rest[1] == 'u' {
				size = min(6, len(rest))
			}
		} else if rest[0] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(rest)
		}
		if json.Unmarshal(append(append([]byte{'"'}, rest[:size]...), '"'), &text, parseOptions) != nil {
			text = string(utf8.RuneError)
			if rest[0] == '\\' {
				size = 1
			}
		}
		b.WriteString(text)
		rest = rest[size:]
	}
	return b.String()
}

func quoteText(text string) []byte {
	b, _ := jsontext.AppendQuote(nil, text) // which replaces what is no UTF-8
	return b
}
