package redact

import "bytes"

// word is a run of bytes without spaces and quotes.
type word struct {
	from, to int
	firstAt  int // where its first and last @ are; -1 for none
	lastAt   int
}

// wordAt returns the word that a place is in. Each is looked at once.
func (f *finder) wordAt(i int) word {
	if f.word.to > i && f.word.from <= i {
		return f.word
	}
	from := i
	for from > f.word.to && !endsWord(f.text[from-1]) {
		from--
	}
	w := word{from: from, to: i, firstAt: -1, lastAt: -1}
	for w.to = from; w.to < len(f.text) && !endsWord(f.text[w.to]); w.to++ {
		if f.text[w.to] == '@' {
			if w.firstAt < 0 {
				w.firstAt = w.to
			}
			w.lastAt = w.to
		}
	}
	w.to = max(w.to, i+1)
	f.word = w
	return w
}

func endsWord(c byte) bool {
	return class[c]&(isSpace|isQuote) != 0 || c == '<' || c == '>' || c == '\\'
}

// userInfo takes out the password of the address whose :// stands at i, or all
// that stands before its host, if that may be a token.
func (f *finder) userInfo(i int) {
	w := f.wordAt(i)
	begin := i + len("://")
	if w.lastAt < begin {
		return
	}
	end, at, colon := begin, -1, -1
	for ; end < w.to && f.text[end] != '/' && f.text[end] != '?' && f.text[end] != '#'; end++ {
		switch {
		case f.text[end] == '@':
			at = end
		case f.text[end] == ':' && colon < 0:
			colon = end
		}
	}
	if at < 0 {
		// A password may have what ends the host elsewhere; a port has digits.
		if colon < 0 || colon+1 == end || isDigits(f.text[colon+1:end]) {
			return
		}
		at = w.lastAt
	}
	if colon < 0 || colon > at {
		if isWebScheme(f.text[:i]) {
			f.take(begin, at)
		}
		return
	}
	if password := f.text[colon+1 : at]; isReference(password) {
		return
	} else if len(password) == 0 || string(password) == "x-oauth-basic" {
		f.take(begin, colon)
		return
	}
	f.take(colon+1, at)
}

func isDigits(text []byte) bool {
	return !bytes.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// isWebScheme reports whether the text ends as a scheme in which what stands
// alone before the host is rather a token than a person.
func isWebScheme(text []byte) bool {
	for _, scheme := range []string{"http", "https", "sentry", "ws", "wss"} {
		if len(text) >= len(scheme) && bytes.EqualFold(text[len(text)-len(scheme):], []byte(scheme)) {
			return true
		}
	}
	return false
}

// dataSource takes out the password of user:password@tcp(host), and of
// user:password@host:port, as data sources are named without a scheme.
func (f *finder) dataSource(i int) {
	w := f.wordAt(i)
	if w.lastAt != i {
		return
	}
	from := w.from
	for n := 0; n < 2; n++ { // --dsn=user:…, (user:…
		if eq := bytes.IndexAny(f.text[from:w.firstAt], "=([{,"); eq >= 0 {
			from += eq + 1
		}
	}
	colon := from
	for colon < i && (class[f.text[colon]]&isName != 0 && f.text[colon] != '/' || f.text[colon] == '%') {
		colon++
	}
	if colon == from || colon+1 >= i || f.text[colon] != ':' || f.text[colon+1] == '/' {
		return
	}
	rest := f.text[i+1 : w.to]
	host := 0
	for host < len(rest) && (class[rest[host]]&isName != 0 && rest[host] != '/' || rest[host] == '[' || rest[host] == ']') {
		host++
	}
	switch {
	case host == len(rest) || host == 0 && rest[0] != '(' && rest[0] != '/':
		return
	case rest[host] == '(' || rest[host] == '/':
	case rest[host] == ':' && host+1 < len(rest) && isDigits(rest[host+1:host+2]) && !bytes.HasPrefix(rest, []byte("sha")):
	default:
		return
	}
	f.take(colon+1, i)
}

// tokens takes out what has the shape of a token, and Base64 of texts that hold
// secrets.
func (f *finder) tokens() {
	inWord, run := false, 0
	for i := 0; i < len(f.text); i++ {
		c := f.text[i]
		k := class[c]
		if k&isEncoded != 0 {
			run++
		} else {
			if run >= minEncoded {
				f.encoded(i-run, i)
			}
			run = 0
		}
		begins := !inWord && (k&isWord != 0 || c == '$')
		inWord = k&isWord != 0
		if !begins || i+1 == len(f.text) {
			continue
		}
		n := tokenLength(f.text[i:])
		if n == 0 && hasPrefixAt(f.text, i, "eyJ") {
			n = jwtLength(f.text[i:])
		}
		if n > 0 {
			f.take(i, i+n)
			i += n - 1
			inWord, run = true, 0
		}
	}
	if run >= minEncoded {
		f.encoded(len(f.text)-run, len(f.text))
	}
}

// encoded takes out a run of Base64 that stands for a text with a secret.
func (f *finder) encoded(from, to int) {
	run := f.text[from:to]
	if len(run) < minEncoded || !isEncodedText(run[:16]) {
		return
	}
	text, ok := decoded(run)
	if !ok || !suspicious(text) {
		return
	}
	for to < len(f.text) && f.text[to] == '=' {
		to++
	}
	defer f.leave()
	if !f.enter() {
		f.take(from, to)
		return
	}
	if _, changed := f.redactor.text(text); changed {
		f.take(from, to)
	}
}
