package audit

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// This file is the shape of an event, as it is read in place. Each function
// reports whether what stands there has that shape.

func (p *parser) event() bool {
	w, hasUser := &p.wire, false
	ok := p.object(func(name []byte) (number int, ok bool) {
		switch string(name) {
		case "kind":
			return 0, p.quoted(&w.Kind)
		case "apiVersion":
			return 1, p.quoted(&w.APIVersion)
		case "level":
			return 2, p.field(&w.Level)
		case "auditID":
			return 3, p.field(&w.AuditID)
		case "stage":
			return 4, p.field(&w.Stage)
		case "requestURI":
			return 5, p.field(&w.RequestURI)
		case "verb":
			return 6, p.field(&w.Verb)
		case "user":
			hasUser = true
			return 7, p.user(&w.User)
		case "impersonatedUser":
			p.impersonated = wireUser{Groups: p.impersonated.Groups[:0], Extra: p.impersonated.Extra[:0]}
			w.ImpersonatedUser = &p.impersonated
			return 8, p.user(w.ImpersonatedUser)
		case "sourceIPs":
			return 9, p.list(&w.SourceIPs)
		case "userAgent":
			return 10, p.field(&w.UserAgent)
		case "objectRef":
			p.objectRef = wireObjectRef{}
			w.ObjectRef = &p.objectRef
			return 11, p.reference(w.ObjectRef)
		case "responseStatus":
			return 12, p.raw(&w.ResponseStatus)
		case "requestObject":
			return 13, p.body(&w.RequestObject)
		case "responseObject":
			return 14, p.body(&w.ResponseObject)
		case "requestReceivedTimestamp":
			return 15, p.quoted(&w.RequestReceivedTimestamp)
		case "stageTimestamp":
			return 16, p.quoted(&w.StageTimestamp)
		case "annotations":
			return 17, p.textMap(&w.Annotations)
		}
		return 0, false
	})
	p.exact = p.exact && hasUser // which is written even when it is empty
	return ok
}

func (p *parser) user(u *wireUser) bool {
	return p.object(func(name []byte) (number int, ok bool) {
		switch string(name) {
		case "username":
			return 0, p.field(&u.Username)
		case "uid":
			return 1, p.field(&u.UID)
		case "groups":
			return 2, p.list(&u.Groups)
		case "extra":
			return 3, p.listMap(&u.Extra)
		}
		return 0, false
	})
}

func (p *parser) reference(o *wireObjectRef) bool {
	return p.object(func(name []byte) (number int, ok bool) {
		switch string(name) {
		case "resource":
			return 0, p.field(&o.Resource)
		case "namespace":
			return 1, p.field(&o.Namespace)
		case "name":
			return 2, p.field(&o.Name)
		case "uid":
			return 3, p.field(&o.UID)
		case "apiGroup":
			return 4, p.field(&o.APIGroup)
		case "apiVersion":
			return 5, p.field(&o.APIVersion)
		case "resourceVersion":
			return 6, p.field(&o.ResourceVersion)
		case "subresource":
			return 7, p.field(&o.Subresource)
		}
		return 0, false
	})
}

// object reads an object of known members. They are written in the order of
// their numbers, and none may come twice.
func (p *parser) object(member func(name []byte) (number int, ok bool)) bool {
	if !p.take('{') {
		return false
	}
	seen, last := uint32(0), 0
	for n := 0; ; n++ {
		if another, ok := p.more(n, '}'); !another || !ok {
			p.exact = p.exact && n > 0 // the empty one is left out
			return ok
		}
		name, ok := p.name()
		if !ok {
			return false
		}
		number, ok := member(name)
		if !ok || seen&(1<<number) != 0 {
			return false
		}
		p.exact = p.exact && number >= last
		seen, last = seen|1<<number, number
	}
}

// field reads a text that is left out when it is empty.
func (p *parser) field(into *string) (ok bool) {
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
	return p.raw(into) && into.IsValid(parseOptions)
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
