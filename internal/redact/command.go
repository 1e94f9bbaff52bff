package redact

import "bytes"

// wanted is what the next word of a command line is.
type wanted uint8

const (
	nothing       wanted = iota
	aSecret              // all of it goes
	aUser                // what follows its : or % goes
	aPair                // what follows its = goes
	inQuotes             // all of it goes, if it stands in quotes
	aHeader              // what follows its : goes
	anything             // the word after it is secret
	anythingTwice        // the word after the next one is secret
	afterEquals          // what follows an = is secret: SET PASSWORD FOR a = 'x'
	scheme               // it goes if it looks like a token: Bearer x
	sqlSecret            // BY may follow, and then a secret
)

// command is what the words of a command line say so far.
type command struct {
	program *program
	// only says that the word was there by which the program takes credentials.
	only bool
	next wanted
	// echo is where the words of the last echo are, which a pipe may lead to a
	// program that reads a password.
	echo cut
}

// words takes out what is secret by the words before it: on the command lines
// of known programs, after long flags, after the scheme of a header, in SQL.
func (f *finder) words() {
	text := f.text
	for i := 0; i < len(text); {
		c := text[i]
		if class[c]&isSeparate != 0 {
			f.command.next, f.command.program = nothing, nil
			if c == '|' && f.command.echo.to == 0 {
				f.command.echo.to = i
			}
		}
		if !beginsWord(c) && (f.command.next == nothing || c != '[' && c != '{' && c != '(') {
			i++
			continue
		}
		end := i
		for end < len(text) && class[text[end]]&(isSpace|isQuote|isSeparate) == 0 && text[end] != '\\' && text[end] != ')' && text[end] != '(' {
			end++
		}
		if end == i { // a bracket, which is no word
			i++
			continue
		}
		if f.command.next == nothing || end-i == 1 {
			// A list's elements: ["--password","x"], [--password, x].
			for end-1 > i && (text[end-1] == ',' || text[end-1] == ']') {
				end--
			}
		}
		i = max(f.wordOf(i, end), end)
		i = max(i, end)
	}
}

func beginsWord(c byte) bool {
	return class[c]&(isSpace|isQuote|isSeparate) == 0 && c != ',' && c != '[' && c != ']' && c != '(' && c != ')' && c != '\\' && c != '{' && c != '}'
}

// wordOf looks at one word of a command line, and returns where to go on.
func (f *finder) wordOf(from, to int) int {
	c := &f.command
	word := f.text[from:to]
	next := c.next
	c.next = nothing
	switch next {
	case aSecret:
		if !isFlag(word) {
			return f.takeWord(from, to)
		}
	case aUser:
		return f.afterByte(from, to, ":%,")
	case aPair:
		return f.afterByte(from, to, "=")
	case aHeader:
		if i := bytes.IndexByte(word, ':'); i >= 0 {
			return to // settings knows the names
		}
	case anythingTwice:
		c.next = anything
		return to
	case afterEquals:
		if c.next = afterEquals; string(word) == "=" {
			c.next = aSecret
		}
		return to
	case inQuotes:
		if bytes.EqualFold(word, []byte("for")) {
			c.next = afterEquals
			return to
		}
		if from > 0 && class[f.text[from-1]]&isQuote != 0 {
			return f.takeWord(from, to)
		}
	case anything:
		c.next = aSecret
		return to
	case scheme:
		if looksRandom(word) && len(word) >= 8 && isToken(word) || bytes.Contains(word, []byte("==")) {
			return f.takeWord(from, to)
		}
	case sqlSecret:
		switch {
		case bytes.EqualFold(word, []byte("by")):
			c.next = aSecret
			return to
		case bytes.EqualFold(word, []byte("with")), from > 0 && class[f.text[from-1]]&isQuote != 0, !hasUpper(word):
			c.next = sqlSecret
		}
	}
	c.learn(f, word, from, to)
	return to
}

// learn notes what a word says of the next one.
func (c *command) learn(f *finder, word []byte, from, to int) {
	if word[0] == '-' && len(word) > 1 {
		c.flag(f, word, from, to)
		return
	}
	switch string(word) {
	case "echo", "printf":
		c.echo = cut{from: to}
		return
	case "chpasswd":
		f.takeEcho()
		return
	}
	name := word
	if slash := bytes.LastIndexByte(word, '/'); slash >= 0 {
		name = word[slash+1:]
	}
	if p, ok := programs[string(name)]; ok {
		c.program, c.only = p, p.only == ""
		return
	}
	if p := c.program; p != nil {
		c.only = c.only || string(word) == p.only
		if p.pairs && bytes.IndexByte(word, '=') > 0 {
			f.afterByte(from, to, "=")
			return
		}
		c.wordOfProgram(word)
		if c.next != nothing {
			return
		}
	}
	c.keyword(f, word, to)
}

func (c *command) wordOfProgram(word []byte) {
	for _, w := range c.program.after {
		if bytes.EqualFold(word, []byte(w)) {
			c.next = aSecret
		}
	}
	for _, w := range c.program.afterTwo {
		if string(word) == w {
			c.next = anything
		}
	}
	for _, w := range c.program.afterThree {
		if string(word) == w {
			c.next = anythingTwice
		}
	}
}

// takeEcho takes out what is written to a program that reads a password.
func (f *finder) takeEcho() {
	e := f.command.echo
	f.command.echo = cut{}
	for e.from < e.to && class[f.text[e.from]]&isSpace != 0 {
		e.from++
	}
	for e.from < e.to && class[f.text[e.to-1]]&isSpace != 0 {
		e.to--
	}
	if e.from < e.to && e.to <= len(f.text) && !bytes.Equal(f.text[e.from:e.to], markText) {
		f.take(e.from, e.to)
	}
}

// keyword notes words of headers and of SQL.
func (c *command) keyword(f *finder, word []byte, to int) {
	isWordOf := func(list ...string) bool {
		for _, w := range list {
			if len(word) == len(w) && bytes.EqualFold(word, []byte(w)) { // letters of ASCII alone
				return true
			}
		}
		return false
	}
	switch {
	case isWordOf("bearer", "basic"):
		c.next = scheme
	case isWordOf("identified"):
		c.next = sqlSecret
	case isWordOf("password", "passwd", "pass", "pwd", "passphrase"):
		// PASSWORD 'x', but not the end of a quoted name.
		if to < len(f.text) && class[f.text[to]]&isSpace != 0 {
			c.next = inQuotes
		}
	}
}

// flag notes what a flag says of the next word, or takes out the value that it
// has attached.
func (c *command) flag(f *finder, word []byte, from, to int) {
	if p := c.program; p != nil {
		c.wordOfProgram(word)
		if c.next != nothing {
			return
		}
		if c.shortFlag(f, p, word, from, to) {
			return
		}
	}
	if bytes.IndexByte(word, '=') >= 0 {
		return // settings knows the names
	}
	name := bytes.TrimLeft(word, "-")
	switch string(name) {
	case "password-stdin", "stdin":
		f.takeEcho()
		return
	case "from-literal", "build-arg", "set-string":
		c.next = aPair
		return
	case "user", "proxy-user", "creds", "src-creds", "dest-creds", "source-creds", "destination-creds":
		if c.program != nil || string(name) != "user" {
			c.next = aUser
		}
		return
	}
	if len(name) < 2 {
		return
	}
	if v := names.judge(name); v == secretName || v == secretText {
		c.next = aSecret
	}
}

// shortFlag reads a flag of one letter of a known program.
func (c *command) shortFlag(f *finder, p *program, word []byte, from, to int) bool {
	if len(word) < 2 || word[1] == '-' || !c.only {
		return false
	}
	letter := word[1]
	has := func(letters string) bool { return bytes.IndexByte([]byte(letters), letter) >= 0 }
	attached := from + 2
	if attached < to && f.text[attached] == '=' {
		attached++
	}
	// What is quoted is attached too: -p'x y'.
	isAttached := attached < to || to < len(f.text) && (class[f.text[to]]&isQuote != 0 || f.text[to] == '\\') && !f.isOpen(from)
	switch {
	case has(p.user) && isAttached && attached < to:
		f.afterByte(attached, to, ":%,")
	case has(p.user):
		c.next = aUser
	case has(p.secret) && attached < to:
		if string(word) != "-pass" && string(word) != "-passin" && string(word) != "-passout" {
			f.takeWord(attached, to)
			return true
		}
		c.next = aSecret
	case has(p.secret):
		c.next = aSecret
	case has(p.header):
		c.next = aHeader
	case p.clusters && len(word) < maxWord && isFlag(word):
		return c.cluster(p, word[len(word)-1])
	default:
		return false
	}
	return true
}

// cluster reads the last of several flags of one letter: -sSu a:x.
func (c *command) cluster(p *program, letter byte) bool {
	switch {
	case bytes.IndexByte([]byte(p.user), letter) >= 0:
		c.next = aUser
	case bytes.IndexByte([]byte(p.secret), letter) >= 0:
		c.next = aSecret
	default:
		return false
	}
	return true
}

// isOpen reports whether the word itself begins after a quote, which then ends
// after it.
func (f *finder) isOpen(from int) bool { return from > 0 && class[f.text[from-1]]&isQuote != 0 }

// takeWord takes a word out; in quotes, all up to the closing one.
func (f *finder) takeWord(from, to int) int {
	if from > 0 && class[f.text[from-1]]&isQuote != 0 {
		closing := f.text[from-1]
		for to < len(f.text) && f.text[to] != closing {
			to++
		}
		if to > from && to < len(f.text) && f.text[to-1] == '\\' {
			to--
		}
	} else {
		for to < len(f.text) && class[f.text[to]]&(isSpace|isQuote) == 0 {
			to++
		}
	}
	if value := f.text[from:to]; !isReference(value) && !bytes.Equal(value, markText) {
		f.take(from, to)
	}
	return to
}

// afterByte takes out what follows the first of some bytes in a word.
func (f *finder) afterByte(from, to int, any string) int {
	i := bytes.IndexAny(f.text[from:to], any)
	if i < 0 {
		return to
	}
	begin := from + i + 1
	if begin == to && to < len(f.text) && class[f.text[to]]&isQuote != 0 && !f.isOpen(from) {
		begin, to = to+1, to+1 // key='x y'
	} else if begin == to {
		return to
	}
	if f.isOpen(from) && begin > from {
		closing := f.text[from-1]
		for to < len(f.text) && f.text[to] != closing {
			to++
		}
	} else {
		for to < len(f.text) && class[f.text[to]]&(isSpace|isQuote) == 0 {
			to++
		}
	}
	if value := f.text[begin:to]; !isReference(value) {
		f.take(begin, to)
	}
	return to
}

// isFlag reports whether a word is rather another flag than a value.
func isFlag(word []byte) bool {
	if len(word) < 2 || word[0] != '-' {
		return false
	}
	for _, c := range bytes.TrimLeft(word, "-") {
		if c == '=' {
			return true
		}
		if ('a' > c|0x20 || c|0x20 > 'z') && c != '-' {
			return false
		}
	}
	return true
}

func isToken(word []byte) bool {
	return !bytes.ContainsFunc(word, func(r rune) bool { return r > 0x7f || class[byte(r)]&(isEncoded|isWord) == 0 && r != '.' && r != '~' })
}

func hasUpper(word []byte) bool {
	return bytes.ContainsFunc(word, func(r rune) bool { return 'A' <= r && r <= 'Z' })
}
