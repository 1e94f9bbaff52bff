package redact

import "bytes"

// wanted is what the next word of a command line is.
type wanted uint8

const (
	nothing     wanted = iota
	aSecret            // all of it goes
	aUser              // what follows its : or % goes
	aPair              // what follows its = goes
	inQuotes           // all of it goes, if it stands in quotes
	aHeader            // what follows its : goes
	told               // it goes if it stands in quotes or looks random: password is x
	afterEquals        // what follows an = is secret: SET PASSWORD FOR a = 'x'
	scheme             // it goes if it looks like a token: Bearer x
	sqlSecret          // BY may follow, and then a secret
	sqlValue           // it goes, but for the word PASSWORD, after which the next goes
)

// command is what the words of a command line say so far.
type command struct {
	program *program
	// only says that the word was there by which the program takes credentials.
	only bool
	// progress is how far the phrases of the program are read, and stdin says
	// that it reads a password from its standard input.
	progress progress
	stdin    bool
	next     wanted
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
		if class[c]&isSeparate != 0 && !f.isContinued(i) {
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

// isContinued reports whether the line that ends here goes on with the next.
func (f *finder) isContinued(i int) bool {
	if f.text[i] == '\n' && i > 0 && f.text[i-1] == '\r' {
		i--
	}
	return i > 0 && f.text[i-1] == '\\'
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
			if c.program != nil && c.isSecretNext() {
				c.next = aSecret
			}
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
	case afterEquals:
		if c.next = afterEquals; string(word) == "=" {
			c.next = aSecret
		} else if isOneOf(word, "is", "is:") {
			c.next = told
		}
		return to
	case inQuotes:
		if bytes.EqualFold(word, []byte("for")) {
			c.next = afterEquals
			return to
		}
		if f.isOpen(from) {
			return f.takeWord(from, to)
		}
		if f.isStringPrefix(from, to) {
			c.next = inQuotes
			return to
		}
		if isOneOf(word, "is", "was", "is:", "to") {
			c.next = told
			return to
		}
		if looksRandom(word) && hasDigit(word) && hasLetter(word) && isToken(word) || f.endsConfiguration(from, to) {
			return f.takeWord(from, to)
		}
	case told:
		if f.isOpen(from) || looksRandom(word) && hasDigit(word) {
			return f.takeWord(from, to)
		}
	case scheme:
		if looksRandom(word) && len(word) >= 8 && isToken(word) || bytes.Contains(word, []byte("==")) {
			return f.takeWord(from, to)
		}
	case sqlValue:
		if bytes.EqualFold(word, []byte("password")) && !f.isOpen(from) {
			c.next = aSecret
			return to
		}
		return f.takeWord(from, to)
	case sqlSecret:
		switch {
		case isOneOf(word, "by", "using"):
			c.next = sqlValue
			return to
		case isOneOf(word, "with", "via"), f.isOpen(from), !hasUpper(word):
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
	}
	if c.stdin && bytes.HasPrefix(word, []byte("<<<")) {
		if c.next = aSecret; to > from+3 {
			c.next = nothing
			f.takeWord(from+3, to)
		}
		return
	}
	if c.program != nil {
		// A word of a phrase is no program.
		if c.wordOfProgram(word); c.next != nothing || c.progress != (progress{}) {
			return
		}
	}
	name := word
	if slash := bytes.LastIndexByte(word, '/'); slash >= 0 {
		name = word[slash+1:]
	}
	if p, ok := programs[string(name)]; ok {
		*c = command{program: p, only: p.only == "", echo: c.echo}
		c.readsSecret(f, p.stdin == "*")
		if len(p.phrases) > 0 && c.isSecretNext() {
			c.next = aSecret
		}
		if p.stdin != "*" {
			return
		}
	}
	if p := c.program; p != nil {
		c.only = c.only || string(word) == p.only
		switch {
		case p.pairs && bytes.IndexByte(word, '=') > 0:
			f.afterByte(from, to, "=")
			return
		case p.logins:
			f.login(from, to)
			return
		case p.addresses:
			f.account(from, to)
		case p.attached != "" && bytes.HasPrefix(word, []byte(p.attached)):
			f.takeWord(from+len(p.attached), to)
			return
		}
	}
	c.keyword(f, word, to)
}

func (c *command) wordOfProgram(word []byte) {
	if len(c.program.phrases) > 0 && c.follow(word) {
		c.next = aSecret
	}
}

// readsSecret notes that the program reads a password from its standard input,
// if it does: what was written to it goes.
func (c *command) readsSecret(f *finder, does bool) {
	if does {
		c.stdin = true
		f.takeEcho()
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
	switch {
	case isOneOf(word, "bearer", "basic"):
		c.next = scheme
	case isOneOf(word, "identified"):
		c.next = sqlSecret
	case isOneOf(word, "requirepass", "masterauth"):
		c.next = aSecret
	case isOneOf(word, "password", "passwd", "pass", "pwd", "passphrase"):
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
	name := bytes.TrimLeft(word, "-")
	if eq := bytes.IndexByte(name, '='); eq >= 0 {
		if isUserFlag(name[:eq]) && (c.program != nil || string(name[:eq]) != "user") {
			f.afterByte(to-len(name)+eq+1, to, ":%,")
		}
		return // settings knows the names
	}
	switch string(name) {
	case "password-stdin", "stdin", "with-token":
		c.readsSecret(f, true)
		return
	case "from-literal", "build-arg", "set-string":
		c.next = aPair
		return
	}
	if isUserFlag(name) && (c.program != nil || string(name) != "user") {
		c.next = aUser
		return
	}
	if len(name) < 2 || namesKubeconfig(name) {
		return
	}
	if v := names.judge(name); v == secretName || v == secretText {
		c.next = aSecret
	}
}

// endsConfiguration reports whether a word is the second and last of its line,
// which is not the first one, as in a configuration: password x.
func (f *finder) endsConfiguration(from, to int) bool {
	if to < len(f.text) && class[f.text[to]]&isEnd == 0 {
		return false
	}
	words := 0
	for i := from - 1; i >= 0 && from-i < maxName; i-- {
		switch {
		case f.text[i] == '\n':
			return words == 1
		case class[f.text[i]]&isSpace == 0 && class[f.text[i+1]]&isSpace != 0:
			words++
		}
	}
	return false
}

// isUserFlag reports whether the value of a flag is user:secret, whatever the
// program; --user is that of some that we know alone.
func isUserFlag(name []byte) bool {
	switch string(name) {
	case "user", "auth", "cert", "proxy-cert", "proxy-user", "creds", "src-creds", "dest-creds", "source-creds", "destination-creds":
		return true
	}
	return false
}

// shortFlag reads a flag of one letter of a known program.
func (c *command) shortFlag(f *finder, p *program, word []byte, from, to int) bool {
	if len(word) < 2 || word[1] == '-' || !c.only {
		return false
	}
	letter := word[1]
	if p.attached != "" && bytes.HasPrefix(word, []byte(p.attached)) {
		if attached := from + len(p.attached); attached < to {
			f.takeWord(attached, to)
		} else {
			c.next = aSecret
		}
		return true
	}
	if p.stdin != "" && p.stdin[0] == letter {
		c.readsSecret(f, true)
		return true
	}
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
		switch string(word) {
		case "-pass", "-passin", "-passout", "-password", "-passwd", "-passphrase":
			c.next = aSecret
		default:
			f.takeWord(attached, to)
		}
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
	if i < 0 || isDigits(f.text[from:from+i]) && isDigits(f.text[from+i+1:to]) { // 1000:1000
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
	return !bytes.ContainsFunc(word, func(r rune) bool {
		return r > 0x7f || class[byte(r)]&(isEncoded|isWord) == 0 && r != '=' && r != '.' && r != '~'
	})
}

// isOneOf reports whether a word is one of a list, in upper or lower case; of
// letters of ASCII alone.
func isOneOf(word []byte, list ...string) bool {
	for _, w := range list {
		if len(word) == len(w) && bytes.EqualFold(word, []byte(w)) {
			return true
		}
	}
	return false
}

func hasLetter(word []byte) bool {
	return bytes.ContainsFunc(word, func(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' })
}

func hasUpper(word []byte) bool {
	return bytes.ContainsFunc(word, func(r rune) bool { return 'A' <= r && r <= 'Z' })
}
