package audit

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// This file is the shape of an event, as it is read in place. Each function
// reports whether what stands there has that shape.

// field is a member of an object, with what reads its value.
type field struct {
	name string // as it stands there: with quotes and a colon
	read func(*parser) bool
}

// The members of each object, in the order in which they are written.
var (
	eventFields = []field{
		{`"kind":`, func(p *parser) bool { return p.quoted(&p.wire.Kind) }},
		{`"apiVersion":`, func(p *parser) bool { return p.quoted(&p.wire.APIVersion) }},
		{`"level":`, func(p *parser) bool { return p.string(&p.wire.Level) }},
		{`"auditID":`, func(p *parser) bool { return p.string(&p.wire.AuditID) }},
		{`"stage":`, func(p *parser) bool { return p.string(&p.wire.Stage) }},
		{`"requestURI":`, func(p *parser) bool { return p.string(&p.wire.RequestURI) }},
		{`"verb":`, func(p *parser) bool { return p.string(&p.wire.Verb) }},
		{`"user":`, (*parser).authenticated},
		{`"impersonatedUser":`, (*parser).impersonatedUser},
		{`"authenticationMetadata":`, (*parser).authentication},
		{`"sourceIPs":`, func(p *parser) bool { return p.list(&p.wire.SourceIPs) }},
		{`"userAgent":`, func(p *parser) bool { return p.string(&p.wire.UserAgent) }},
		{`"objectRef":`, (*parser).reference},
		{`"responseStatus":`, func(p *parser) bool { return p.raw(&p.wire.ResponseStatus) }},
		{`"requestObject":`, func(p *parser) bool { return p.body(&p.wire.RequestObject) }},
		{`"responseObject":`, func(p *parser) bool { return p.body(&p.wire.ResponseObject) }},
		{`"requestReceivedTimestamp":`, func(p *parser) bool { return p.quoted(&p.wire.RequestReceivedTimestamp) }},
		{`"stageTimestamp":`, func(p *parser) bool { return p.quoted(&p.wire.StageTimestamp) }},
		{`"annotations":`, func(p *parser) bool { return p.textMap(&p.wire.Annotations) }},
	}
	userFields = []field{
		{`"username":`, func(p *parser) bool { return p.string(&p.reading.Username) }},
		{`"uid":`, func(p *parser) bool { return p.string(&p.reading.UID) }},
		{`"groups":`, func(p *parser) bool { return p.list(&p.reading.Groups) }},
		{`"extra":`, func(p *parser) bool { return p.listMap(&p.reading.Extra) }},
	}
	authenticationFields = []field{
		{`"impersonationConstraint":`, func(p *parser) bool { return p.string(&p.authenticationMetadata.ImpersonationConstraint) }},
	}
	objectRefFields = []field{
		{`"resource":`, func(p *parser) bool { return p.string(&p.objectRef.Resource) }},
		{`"namespace":`, func(p *parser) bool { return p.string(&p.objectRef.Namespace) }},
		{`"name":`, func(p *parser) bool { return p.string(&p.objectRef.Name) }},
		{`"uid":`, func(p *parser) bool { return p.string(&p.objectRef.UID) }},
		{`"apiGroup":`, func(p *parser) bool { return p.string(&p.objectRef.APIGroup) }},
		{`"apiVersion":`, func(p *parser) bool { return p.string(&p.objectRef.APIVersion) }},
		{`"resourceVersion":`, func(p *parser) bool { return p.string(&p.objectRef.ResourceVersion) }},
		{`"subresource":`, func(p *parser) bool { return p.string(&p.objectRef.Subresource) }},
	}
)

func (p *parser) event() bool {
	p.hasUser = false
	ok := p.object(eventFields)
	p.exact = p.exact && p.hasUser // which is written even when there was none
	return ok
}

func (p *parser) authenticated() bool {
	p.hasUser = true
	return p.user(&p.wire.User)
}

func (p *parser) user(into *wireUser) bool {
	p.reading = into
	return p.object(userFields)
}

func (p *parser) impersonatedUser() bool {
	p.impersonated = wireUser{Groups: p.impersonated.Groups[:0], Extra: p.impersonated.Extra[:0]}
	p.wire.ImpersonatedUser = &p.impersonated
	return p.user(&p.impersonated)
}

func (p *parser) authentication() bool {
	p.authenticationMetadata = wireAuthentication{}
	p.wire.AuthenticationMetadata = &p.authenticationMetadata
	return p.object(authenticationFields)
}

func (p *parser) reference() bool {
	p.objectRef = wireObjectRef{}
	p.wire.ObjectRef = &p.objectRef
	return p.object(objectRefFields)
}

// object reads an object of these fields, none of which may come twice.
func (p *parser) object(fields []field) bool {
	if !p.take('{') {
		return false
	}
	seen, next := uint32(0), 0
	for n := 0; ; n++ {
		if another, ok := p.more(n, '}'); !another || !ok {
			p.exact = p.exact && n > 0 // the empty one is left out
			return ok
		}
		i := p.known(fields, next)
		if i < 0 || seen&(1<<i) != 0 || !fields[i].read(p) {
			return false
		}
		p.exact = p.exact && i >= next
		seen, next = seen|1<<i, i+1
	}
}

// known consumes the name of one of the fields and returns its index, or -1
// when it is none of theirs. It looks at the next one first.
func (p *parser) known(fields []field, next int) int {
	for n := range fields {
		i := next + n
		if i >= len(fields) {
			i -= len(fields)
		}
		if name := fields[i].name; len(p.in)-p.at >= len(name) && string(p.in[p.at:p.at+len(name)]) == name {
			p.at += len(name)
			return i
		}
	}
	return -1
}

// string reads a text that is left out when it is empty.
func (p *parser) string(into *string) (ok bool) {
	*into, ok = p.text()
	p.exact = p.exact && *into != ""
	return ok
}

// quoted reads a text and keeps its quotes.
func (p *parser) quoted(into *wireText) bool {
	token, plain, ok := p.token()
	*into = token
	p.exact = p.exact && len(token) > 2
	return ok && plain
}

// maxDepth is far below where the general parser gives up.
const maxDepth = 1000

// raw reads a value that is still to be validated.
func (p *parser) raw(into *jsontext.Value) (ok bool) {
	*into, ok = p.value(maxDepth)
	p.exact = p.exact && !isEmptyValue(*into)
	return ok
}

func (p *parser) body(into *jsontext.Value) bool {
	return p.raw(into) && into.IsValid(laxOptions)
}

func (p *parser) list(into *[]string) (ok bool) {
	*into, ok = p.appendTexts((*into)[:0])
	p.exact = p.exact && len(*into) > 0
	return ok
}

func (p *parser) appendTexts(list []string) (all []string, ok bool) {
	if !p.take('[') {
		return list, false
	}
	for n := 0; ; n++ {
		if another, ok := p.more(n, ']'); !another || !ok {
			return list, ok
		}
		text, ok := p.text()
		if !ok {
			return list, false
		}
		list = append(list, text)
	}
}

func (p *parser) textMap(into *textMap) bool {
	ok := p.members(func(name string) bool {
		value, ok := p.text()
		*into = append(*into, textMember{name, value})
		return ok
	})
	return ok && sortMembers(p, *into)
}

func (p *parser) listMap(into *listMap) bool {
	ok := p.members(func(name string) bool {
		begin := len(p.values)
		values, ok := p.appendTexts(p.values)
		p.values = values
		*into = append(*into, listMember{name, values[begin:len(values):len(values)]})
		return ok
	})
	return ok && sortMembers(p, *into)
}

// members reads an object of any members.
func (p *parser) members(member func(name string) bool) bool {
	if !p.take('{') {
		return false
	}
	for n := 0; ; n++ {
		if another, ok := p.more(n, '}'); !another || !ok {
			p.exact = p.exact && n > 0
			return ok
		}
		name, ok := p.text()
		if !ok || !p.take(':') || !member(name) {
			return false
		}
	}
}

// sortMembers reports whether no two members have one name.
func sortMembers[M member](p *parser, members []M) bool {
	ascending := func() bool {
		for i := 1; i < len(members); i++ {
			if members[i-1].key() >= members[i].key() {
				return false
			}
		}
		return true
	}
	if ascending() {
		return true
	}
	p.exact = false
	slices.SortFunc(members, func(a, b M) int { return cmp.Compare(a.key(), b.key()) })
	return ascending()
}

type member interface{ key() string }

func (m textMember) key() string { return m.name }
func (m listMember) key() string { return m.name }
