package redact

import "bytes"

// hasMarkup reports whether a text has an element of XML that ends.
func hasMarkup(text []byte) bool {
	return bytes.Contains(text, []byte("</")) || bytes.Contains(text, []byte("/>"))
}

// markup takes out what elements of XML hold: the text under the name of a
// secret, and the value beside one in attributes or in the element before.
func (f *finder) markup() {
	if !hasMarkup(f.text) {
		return
	}
	named := false // the element before was the name of a secret
	for i := 0; i < len(f.text); {
		open := bytes.IndexByte(f.text[i:], '<')
		if open < 0 {
			return
		}
		begin := i + open + 1
		end := begin
		for end < len(f.text) && f.text[end] != '>' && f.text[end] != '<' {
			end++
		}
		if i = end; end == len(f.text) || f.text[end] == '<' || end == begin || f.text[begin] == '/' {
			continue
		}
		from, to, next := f.content(end + 1)
		e := f.element(begin, end)
		switch {
		case e.isName():
			named = isSecret(f.text[from:to])
			continue
		case e.secret, named && e.isValue():
			if len(bytes.TrimSpace(f.text[from:to])) > 0 && f.text[end-1] != '/' {
				f.take(from, to)
			}
			i = next
		}
		named = false
	}
}

// content returns where the text of an element is that begins at a place, and
// where to go on.
func (f *finder) content(at int) (from, to, next int) {
	const begin, end = "<![CDATA[", "]]>"
	if hasPrefixAt(f.text, at, begin) {
		at += len(begin)
		if n := bytes.Index(f.text[at:], []byte(end)); n >= 0 {
			return at, at + n, at + n + len(end)
		}
		return at, len(f.text), len(f.text)
	}
	if n := bytes.IndexByte(f.text[at:], '<'); n >= 0 {
		return at, at + n, at + n
	}
	return at, len(f.text), len(f.text)
}

// element is what the opening tag of an element says.
type element struct {
	name   []byte // without its namespace
	secret bool
}

func (e element) isName() bool {
	return isOneOf(e.name, "name", "key") && !e.secret
}

func (e element) isValue() bool { return isOneOf(e.name, "value", "string") }

// element reads the tag between two places, and takes out the attribute that
// has the value of a secret.
func (f *finder) element(begin, end int) element {
	tag := f.text[begin:end]
	n := bytes.IndexAny(tag, " \t\r\n/")
	if n < 0 {
		n = len(tag)
	}
	e := element{name: tag[:n]}
	if colon := bytes.LastIndexByte(e.name, ':'); colon >= 0 {
		e.name = e.name[colon+1:]
	}
	e.secret = isSecret(e.name)
	isPair, value := false, cut{}
	for at := begin + n; at < end; {
		eq := bytes.IndexByte(f.text[at:end], '=')
		if eq < 0 {
			break
		}
		_, from, to := nameBounds(f.text, at+eq)
		open := skipSpace(f.text, at+eq+1)
		if at = at + eq + 1; open >= end || f.text[open] != '"' && f.text[open] != '\'' || from < begin {
			continue
		}
		length := bytes.IndexByte(f.text[open+1:end], f.text[open])
		if length < 0 {
			break
		}
		at = open + 1 + length
		switch name := f.text[from:to]; {
		case isOneOf(name, "name", "key"):
			isPair = isSecret(f.text[open+1 : at])
		case isValue(name):
			value = cut{from: open + 1, to: at}
		}
		at++
	}
	if isPair {
		f.take(value.from, value.to)
		e.secret = true
	}
	return e
}
