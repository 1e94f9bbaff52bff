package redact

import (
	"bytes"
	_ "embed"
	"strings"
	"unicode/utf8"
)

// namesText is the list of names; it says itself how it is read.
//
//go:embed names.txt
var namesText string

// verdict says what stands under a name.
type verdict uint8

const (
	plainName  verdict = iota
	secretName         // it is secret, and everything in it
	secretText         // a text is secret, an object is not
	secretMap          // texts of an object are secret, a text is not
	// aboutSecret is the name of what a secret is called, where it is, or how
	// it is used: it stays even within what is secret.
	aboutSecret
)

// nameList is names.txt, ready to be asked.
type nameList struct {
	part, end, word [256][]string // by the first byte; ends by the last
	plainEnd        [256][]string // by the last byte
	whole, query    map[string]bool
	wholeVerdicts   map[string]verdict
	plainPart       []string
	longest         int
	// triplets are three letters of each name of a secret.
	triplets tripletSet
}

var names = readNames(namesText)

func readNames(text string) *nameList {
	l := &nameList{whole: map[string]bool{}, query: map[string]bool{}, wholeVerdicts: map[string]verdict{}}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, name := range strings.Fields(line) {
			l.add(section, name)
		}
	}
	return l
}

func (l *nameList) add(section, name string) {
	first, last := name[0], name[len(name)-1]
	switch section {
	case "[part]":
		l.part[first] = append(l.part[first], name)
	case "[word]":
		l.word[first] = append(l.word[first], name)
	case "[end]":
		l.end[last] = append(l.end[last], name)
	case "[plain-part]":
		l.plainPart = append(l.plainPart, name)
	case "[plain-end]":
		l.plainEnd[last] = append(l.plainEnd[last], name)
	case "[whole]":
		l.wholeVerdicts[name] = secretName
	case "[text]":
		l.wholeVerdicts[name] = secretText
	case "[map]":
		l.wholeVerdicts[name] = secretMap
	case "[plain]":
		l.wholeVerdicts[name] = aboutSecret
	case "[query]":
		l.query[name] = true
	default:
		panic("redact: names.txt has no section " + section)
	}
	l.longest = max(l.longest, len(name))
	switch section {
	case "[part]", "[word]", "[end]", "[whole]", "[text]":
		l.triplets.add(name)
	}
}

// folded is a name as the list has it, and where its words begin.
type folded struct {
	text   []byte
	begins uint64 // bit i: a word begins at text[i]; for the first 64
}

// foldSpace is enough for nearly all names.
type foldSpace [64]byte

// maxName is how many bytes of a name are looked at, from its end: nobody gives
// a longer one to a thing, and who makes one up finds no way around by it.
const maxName = 256

// fold reads a name into a space of the caller's, or a larger one.
func fold(space []byte, name []byte) (f folded) {
	if len(name) > maxName {
		name = name[len(name)-maxName:]
	}
	for _, c := range name {
		if c >= utf8.RuneSelf {
			name = bytes.ToLower(name) // more than ASCII folds to ASCII
			break
		}
	}
	if slash := bytes.LastIndexByte(name, '/'); slash > 0 && bytes.IndexByte(name[:slash], '.') >= 0 {
		name = name[slash+1:]
	}
	f.text = space[:0]
	begins, upper := true, false
	for i, c := range name {
		switch {
		case c == '-' || c == '_' || c == '.' || c == '/' || c == ' ' || c == ':':
			begins = true
			continue
		case 'A' <= c && c <= 'Z':
			// A word begins with a hump, or with the last of several capitals.
			next := i+1 < len(name) && 'a' <= name[i+1] && name[i+1] <= 'z'
			begins = begins || !upper || next
			upper = true
			c += 'a' - 'A'
		default:
			upper = false
		}
		if begins && len(f.text) < 64 {
			f.begins |= 1 << len(f.text)
		}
		begins = false
		f.text = append(f.text, c)
	}
	return f
}

func (f *folded) beginsAt(i int) bool { return i < 64 && f.begins&(1<<i) != 0 }

// judge says what stands under a name.
func (l *nameList) judge(name []byte) verdict {
	if len(name) == 0 {
		return plainName
	}
	var space foldSpace
	f := fold(space[:0], name)
	if len(f.text) == 0 {
		return plainName
	}
	if len(f.text) <= l.longest {
		if v, ok := l.wholeVerdicts[string(f.text)]; ok {
			return v
		}
	}
	reach := l.secretEnd(&f)
	plain := l.plainBegin(f.text)
	switch {
	case reach == 0 && plain < len(f.text):
		return aboutSecret
	case reach == 0:
		return plainName
	case plain < len(f.text) && reach < len(f.text):
		return aboutSecret
	}
	for _, part := range l.plainPart {
		if bytes.Contains(f.text, bytesOf(part)) {
			return aboutSecret
		}
	}
	return secretName
}

// isSecret reports whether a text under a name is secret. Most names are known
// to be none by a look at their letters.
func isSecret(name []byte) bool {
	if !names.mayBeSecret(name) {
		return false
	}
	v := names.judge(name)
	return v == secretName || v == secretText
}

// secretEnd returns where the last word that makes the name a secret's ends; 0
// where there is none.
func (l *nameList) secretEnd(f *folded) int {
	reach := 0
	for i, c := range f.text {
		rest := f.text[i:]
		for _, part := range l.part[c] {
			if len(rest) >= len(part) && string(rest[:len(part)]) == part {
				reach = max(reach, i+len(part))
			}
		}
		if len(l.word[c]) == 0 || !f.beginsAt(i) {
			continue
		}
		for _, word := range l.word[c] {
			if n := len(word); len(rest) >= n && string(rest[:n]) == word && (len(rest) == n || f.beginsAt(i+n)) {
				reach = max(reach, i+n)
			}
		}
	}
	for _, end := range l.end[f.text[len(f.text)-1]] {
		if hasSuffix(f.text, end) && !hasSuffix(f.text, "compass") && !hasSuffix(f.text, "bypass") {
			reach = len(f.text)
		}
	}
	return reach
}

// plainBegin returns where the longest plain end begins; the length where there
// is none.
func (l *nameList) plainBegin(text []byte) int {
	begin := len(text)
	for _, end := range l.plainEnd[text[len(text)-1]] {
		if hasSuffix(text, end) {
			begin = min(begin, len(text)-len(end))
		}
	}
	return begin
}

func hasSuffix(text []byte, end string) bool {
	return len(text) >= len(end) && string(text[len(text)-len(end):]) == end
}

// isSecretParameter judges the name of a parameter of a query.
func (l *nameList) isSecretParameter(name []byte) bool {
	switch string(name) { // those of nearly all requests
	case "", "limit", "continue", "watch", "resourceVersion", "resourceVersionMatch", "allowWatchBookmarks", "timeout", "timeoutSeconds", "fieldSelector", "labelSelector", "dryRun", "fieldManager", "fieldValidation", "force", "pretty", "exact", "export",
		"command", "container", "stdin", "stdout", "stderr", "tty", "follow", "tailLines", "sinceSeconds", "timestamps", "previous", "propagationPolicy", "gracePeriodSeconds", "orphanDependents", "sendInitialEvents", "includeObject", "verbose":
		return false
	}
	var space foldSpace
	f := fold(space[:0], name)
	if l.query[string(f.text)] {
		return true
	}
	v := l.judge(name)
	return v == secretName || v == secretText
}

// SecretName reports whether a text under this name is taken out.
func SecretName(name string) bool {
	v := names.judge([]byte(name))
	return v == secretName || v == secretText
}
