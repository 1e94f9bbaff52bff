package redact

import "bytes"

// login takes out the secret of user/secret@database, as Oracle's programs take
// it: alone, or as userid=.
func (f *finder) login(from, to int) {
	word := f.text[from:to]
	if eq := bytes.IndexByte(word, '='); eq >= 0 {
		if !bytes.EqualFold(word[:eq], []byte("userid")) {
			return
		}
		from += eq + 1
		word = word[eq+1:]
	}
	slash := bytes.IndexByte(word, '/')
	if slash <= 0 || word[0] == '@' || word[0] == '.' {
		return
	}
	if at := bytes.LastIndexByte(word, '@'); at > slash {
		f.take(from+slash+1, from+at)
		return
	}
	f.afterByte(from, to, "/")
}

// account takes out the secret of user:secret@host.
func (f *finder) account(from, to int) {
	word := f.text[from:to]
	colon, at := bytes.IndexByte(word, ':'), bytes.LastIndexByte(word, '@')
	if colon > 0 && at > colon+1 && word[colon+1] != '/' {
		f.take(from+colon+1, from+at)
	}
}

// call takes out the texts that are given to a function whose name is a
// secret's, whose parenthesis opens at i: setPassword("x"), db.auth('a', 'x'). It
// returns the last place of them.
func (f *finder) call(i int) int {
	if !callsSecret(f.text, i) {
		return i
	}
	at := i + 1
	for at < len(f.text) {
		end, ok := f.quotedEnd(at)
		if !ok {
			break
		}
		for at = end + 1; at < len(f.text) && (f.text[at] == ',' || class[f.text[at]]&isSpace != 0); at++ {
		}
	}
	return at - 1
}

// callsSecret reports whether a text is given to a function that is called as a
// secret is. What only looks one up is given its name.
func callsSecret(text []byte, i int) bool {
	if i+1 >= len(text) || class[text[i+1]]&isQuote == 0 && (text[i+1] != '\\' || i+2 == len(text) || class[text[i+2]]&isQuote == 0) {
		return false
	}
	from := i
	for from > 0 && i-from < maxName && class[text[from-1]]&isWord != 0 {
		from--
	}
	name := text[from:i]
	for _, verb := range []string{"get", "find", "load", "read", "fetch", "lookup", "list", "delete", "has", "is"} {
		if len(name) > len(verb) && bytes.EqualFold(name[:len(verb)], []byte(verb)) {
			return false
		}
	}
	return len(name) > 0 && isSecret(name)
}

// callEnd is where a value ends that is an expression in parentheses, such as
// MD5('x'): at the closing one or with the line.
func (f *finder) callEnd(at int) int {
	for at < len(f.text) && class[f.text[at]]&isEnd == 0 {
		if at++; f.text[at-1] == ')' {
			break
		}
	}
	return at
}

// wordBefore returns where the name begins that a word of its own stands
// before: api key. That of a Secret's key is none.
func wordBefore(text []byte, from, to int) (begin int, ok bool) {
	if !isOneOf(text[from:to], "key") || from < 2 || text[from-1] != ' ' {
		return from, false
	}
	for begin = from - 1; begin > 0 && from-begin < maxWord && class[text[begin-1]]&isName != 0; begin-- {
	}
	if isOneOf(text[begin:from-1], "secret") {
		return from, false
	}
	return begin, isSecret(text[begin:to])
}

// The address of a Telegram bot has its token in the path: bot123456789:AAF….
const (
	minBotID    = 6
	minBotToken = 20
)

// setsBot reports whether a bot's token begins after the : at i.
func setsBot(text, name []byte, i int) bool {
	const bot = "bot"
	name = name[bytes.LastIndexByte(name, '/')+1:]
	if len(name) < len(bot)+minBotID || string(name[:len(bot)]) != bot || !isDigits(name[len(bot):]) || text[i] != ':' {
		return false
	}
	end := i + 1
	for end < len(text) && (class[text[end]]&isWord != 0 || text[end] == '-') {
		end++
	}
	return end-i > minBotToken
}

// isPairBefore reports whether a value is the one of a pair as Go prints them,
// whose name stands right before: {Name:TOKEN Value:x}.
func isPairBefore(text []byte, from int) bool {
	if from < 2 || text[from-1] != ' ' {
		return false
	}
	to := from - 1
	begin := to
	for begin > 0 && to-begin < maxName && class[text[begin-1]]&isName != 0 {
		begin--
	}
	if begin == 0 || text[begin-1] != ':' {
		return false
	}
	label := begin - 1
	for label > 0 && begin-label < maxWord && class[text[label-1]]&isName != 0 {
		label--
	}
	return isOneOf(text[label:begin-1], "name", "key") && isSecret(text[begin:to])
}

// maxStringPrefix is how many letters stand before the quotes of a string at
// most: N'x', E'x', $'x', rb'x', U&'x'.
const maxStringPrefix = 2

// isStringPrefix reports whether a word is letters right before the quotes of a
// string.
func (f *finder) isStringPrefix(from, to int) bool {
	return to-from <= maxStringPrefix && to < len(f.text) && class[f.text[to]]&isQuote != 0 && f.text[to] != '`'
}

// stringBegin returns where the quotes of a string begin whose letters before
// them stand at a place; the place where none is.
func (f *finder) stringBegin(at int) int {
	for n := 1; n <= maxStringPrefix && at+n < len(f.text); n++ {
		c := f.text[at+n-1]
		if class[c]&isWord == 0 && c != '$' && c != '&' {
			return at
		}
		if q := f.text[at+n]; q == '\'' || q == '"' {
			return at + n
		}
	}
	return at
}
