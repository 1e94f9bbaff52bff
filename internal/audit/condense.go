package audit

import (
	"bytes"
	"hash"
	"strconv"
	"unicode/utf8"
)

// extent is how much a condenser keeps, in bytes.
type extent struct {
	text      int // of one text or number
	container int // of an object or array eight levels deep; twice as much seven deep, and so on
	body      int // of a body, or of a member that nobody knows
	// total is what is kept of everything but bodies. Beyond it, text and
	// container are leastKept.
	total int
}

const (
	// An API server's own limits on headers (1 MiB) and bodies (3 MiB) let no
	// event of a kube-apiserver come near to these: what the server wrote, and
	// what it repeats of a client's texts, is held as a whole.
	heldText      = 4 << 20
	heldContainer = 2 << 20
	heldTotal     = 16 << 20

	leastKept = 4 << 10
	// maxUnknown is how many members of the event that nobody knows are kept,
	// and maxUnknownBytes how much of each.
	maxUnknown      = 64
	maxUnknownBytes = 64 << 10
	// maxElements is how many there are in one object or array, at 16 bytes and
	// more each while they are read: more than addresses go into a header.
	maxElements = 1 << 19
	// maxLevels is how deep the condenser leaves out single elements. What
	// nests deeper goes as a whole.
	maxLevels = 8
)

// condenser copies one JSON value as it streams by: without white space,
// without escapes that no text needs, and without what is beyond its extent,
// for which a mark stands. It looks at brackets and strings alone, as the
// scanner does; whether its copy is valid is the parser's to say.
type condenser struct {
	key Key
	extent
	out []byte
	cut bool // something was left out

	depth  int
	levels [maxLevels + 1]containerLevel
	last   byte // the last byte that is no white space, outside of texts
	comma  bool // one was read and is not written yet

	leaf   leafState
	begin  int // where the leaf begins in out
	escape []byte

	// member is the one of the event that is read.
	member struct {
		isBody  bool
		begin   int // of its value in out
		unknown bool
	}
	seen    uint32
	unknown int
	bodies  int // bytes of out that are bodies

	dropped dropped
	text    digest // of a leaf that is too long
	rest    digest // of members of the event that are left out by name and value
}

type leafState byte

const (
	noLeaf leafState = iota
	inText
	inWord
)

// containerLevel is an object or array that is open.
type containerLevel struct {
	opening byte
	begin   int // in out
	element int // where its current element begins, with its comma
	count   int
	lists   bool   // its values are arrays
	rest    digest // of its elements that are left out
}

// dropped is what is being left out: a value of the event, or an element.
type dropped struct {
	active bool
	level  int // the container's; 0 for a value of the event
	digest
}

// digest is the length and keyed hash of what is not kept.
type digest struct {
	hash hash.Hash
	size int64
}

func (d *digest) add(key Key, b []byte) {
	if d.hash == nil {
		d.hash = key.hasher()
	}
	d.hash.Write(b)
	d.size += int64(len(b))
}

func (d *digest) mark(what string) string {
	if d.hash == nil {
		d.add(Key{}, nil)
	}
	return mark(what, d.size, sumOf(d.hash))
}

// condense copies a value that is at hand.
func condense(key Key, value []byte, to extent) (out []byte, cut bool) {
	c := condenser{key: key, extent: to}
	c.write(value)
	return c.end()
}

// bodyMark is what stands for a body that is left out.
func bodyMark(key Key, body []byte) []byte {
	c := condenser{key: key}
	// As a value of the event, of which nothing is kept.
	c.depth, c.last, c.member.isBody = 1, ':', true
	c.drop(0, 0)
	c.write(body)
	c.endLeaf()
	return quoted(c.dropped.mark(leftOut))
}

func quoted(text string) []byte { return append(append([]byte{'"'}, text...), '"') }

// write goes on with the value.
func (c *condenser) write(p []byte) {
	for len(p) > 0 {
		switch {
		case len(c.escape) > 0:
			p = c.unescape(p)
		case c.leaf == inText:
			n := textLength(p)
			c.keep(p[:n])
			if p = c.plainEscapes(p[n:]); len(p) > 0 {
				switch p[0] {
				case '"':
					c.closeText()
					p = p[1:]
				case '\\':
					c.escape = append(c.escape, p[0])
					p = p[1:]
				}
			}
		default:
			if c.leaf == inWord {
				n := bytes.IndexAny(p, ",:[]{}\" \t\r\n")
				if n < 0 {
					n = len(p)
				}
				c.keep(p[:n])
				c.bound()
				if p = p[n:]; len(p) == 0 {
					break
				}
				c.endLeaf()
			}
			c.structure(p[0])
			if c.leaf != inWord {
				p = p[1:]
			}
		}
		c.bound()
	}
}

// textLength is how many bytes from the beginning of a text's rest are neither
// its end nor an escape.
func textLength(p []byte) int {
	n := plainLength(p)
	for n < len(p) && p[n] != '"' && p[n] != '\\' {
		n++
		n += plainLength(p[n:])
	}
	return n
}

// plainEscapes writes what escapes of printable ASCII stand for, as many as
// follow each other: API servers write &, < and > so.
func (c *condenser) plainEscapes(p []byte) []byte {
	var space [512]byte
	text := space[:0]
	for len(p) >= 6 && string(p[:4]) == `\u00` {
		b := hexDigit[p[4]]<<4 | hexDigit[p[5]]
		if hexDigit[p[4]] > 7 || hexDigit[p[5]] > 15 || b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			break
		}
		if text = append(text, b); len(text) == cap(text) {
			c.keep(text)
			text = space[:0]
		}
		p = p[6:]
	}
	c.keep(text)
	return p
}

// hexDigit has the value of each hexadecimal digit, and 255 for what is none.
var hexDigit = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i := range 16 {
		values["0123456789abcdef"[i]], values["0123456789ABCDEF"[i]] = byte(i), byte(i)
	}
	return values
}()

// unescape gathers an escape and writes it, shorter if it can be.
func (c *condenser) unescape(p []byte) []byte {
	whole := 2
	if len(c.escape) > 1 && c.escape[1] == 'u' || len(c.escape) == 1 && p[0] == 'u' {
		whole = 6
	}
	n := min(whole-len(c.escape), len(p))
	c.escape = append(c.escape, p[:n]...)
	if len(c.escape) < whole {
		return p[n:]
	}
	written := c.escape
	if whole == 6 {
		if code, err := strconv.ParseUint(string(written[2:]), 16, 16); err == nil && code >= ' ' && code < 0x7f && code != '"' && code != '\\' {
			written = []byte{byte(code)}
		}
	} else if written[1] == '/' {
		written = written[1:]
	}
	c.keep(written)
	c.escape = c.escape[:0]
	return p[n:]
}

// structure takes a byte outside of texts and words.
func (c *condenser) structure(b byte) {
	switch b {
	case ' ', '\t', '\r', '\n':
		return
	case '"':
		c.element(b)
		c.put('"')
		c.leaf, c.begin = inText, len(c.out)
		return // last is set when the text ends
	case '{', '[':
		c.element(b)
		c.put(b)
		if c.depth++; c.depth <= maxLevels && !c.dropped.active {
			c.levels[c.depth] = containerLevel{opening: b, begin: len(c.out), element: len(c.out)}
		}
	case '}', ']':
		c.close(b)
	case ',':
		c.endMember()
		c.endElement()
		c.comma = true
	case ':':
		c.put(b)
		if c.depth == 1 && c.last == '"' {
			c.beginMember()
		}
	default:
		c.element(b)
		c.leaf, c.begin = inWord, len(c.out)
		return
	}
	c.last = b
}

// element notes that one begins, and writes the comma before it.
func (c *condenser) element(b byte) {
	if c.last == ':' {
		if c.depth <= maxLevels && !c.dropped.active {
			c.levels[c.depth].lists = b == '['
		}
		return
	}
	if c.depth <= maxLevels && !c.dropped.active {
		l := &c.levels[c.depth]
		l.element = len(c.out)
		if l.count++; l.count == 1 {
			c.comma = false // what stood before it was left out
		}
	}
	c.putComma()
}

func (c *condenser) putComma() {
	if c.comma {
		c.comma = false
		c.put(',')
	}
}

func (c *condenser) close(b byte) {
	c.endMember()
	c.endElement()
	c.putComma()
	if c.depth == 1 {
		c.putRest()
	} else if c.depth <= maxLevels && !c.dropped.active {
		c.putElements()
	}
	c.put(b)
	c.depth = max(c.depth-1, 0)
}

// put writes a byte of the structure.
func (c *condenser) put(b byte) {
	if c.dropped.active {
		c.dropped.add(c.key, []byte{b})
		return
	}
	c.out = append(c.out, b)
}

// keep writes bytes of a leaf, as long as it is not too long.
func (c *condenser) keep(p []byte) {
	switch {
	case len(p) == 0:
	case c.dropped.active:
		c.dropped.add(c.key, p)
	case c.text.hash != nil:
		c.text.add(c.key, p)
	case !c.member.isBody && len(c.out)-c.begin+len(p) > c.most(c.extent.text):
		c.text.add(c.key, c.out[c.begin:])
		c.text.add(c.key, p)
		most := c.most(c.extent.text)
		c.out = append(c.out, p[:min(len(p), most+utf8.UTFMax)]...)
		c.out = c.out[:c.begin+wholeLength(c.out[c.begin:], most)]
	default:
		c.out = append(c.out, p...)
	}
}

// most is a bound, or the least one when much is kept already.
func (c *condenser) most(bound int) int {
	if len(c.out)-c.bodies > c.total {
		return min(bound, leastKept)
	}
	return bound
}

// wholeLength is how many of the first bytes of an encoded text hold no half
// escape and no half character.
func wholeLength(text []byte, most int) int {
	n := 0
	for n < len(text) {
		size := 1
		switch {
		case text[n] == '\\' && n+1 < len(text) && text[n+1] == 'u':
			size = 6
		case text[n] == '\\':
			size = 2
		case text[n] >= utf8.RuneSelf:
			if _, size = utf8.DecodeRune(text[n:]); !utf8.FullRune(text[n:]) {
				return n
			}
		}
		if n+size > most {
			break
		}
		n += size
	}
	return min(n, len(text))
}

func (c *condenser) closeText() {
	if c.text.hash != nil {
		c.cut = true
		c.out = append(c.out, c.text.mark(cutShort)...)
		c.text = digest{}
	}
	c.leaf = noLeaf
	c.put('"')
	c.last = '"'
}

func (c *condenser) endLeaf() {
	if c.leaf != inWord {
		return
	}
	if c.text.hash != nil {
		c.cut = true
		c.out = append(c.out[:c.begin], quoted(c.text.mark(leftOut))...)
		c.text = digest{}
	}
	c.leaf, c.last = noLeaf, 'w'
}

// beginMember notes that a value of the event begins.
func (c *condenser) beginMember() {
	if c.dropped.active {
		return
	}
	name := c.out[c.levels[1].element:]
	if len(name) > 0 && name[0] == ',' {
		name = name[1:]
	}
	c.member.isBody, c.member.unknown, c.member.begin = false, true, len(c.out)
	for i, f := range eventFields {
		if string(name) == f.name && c.seen&(1<<i) == 0 {
			c.seen |= 1 << i
			c.member.unknown = false
			c.member.isBody = f.name == `"requestObject":` || f.name == `"responseObject":`
			return
		}
	}
	c.member.isBody = true
	c.unknown++
	if c.unknown > maxUnknown || len(c.out)-c.bodies > c.total {
		// Name and value go, so that any number of them is as good as one.
		member := c.out[c.levels[1].element:]
		c.rest.add(c.key, member)
		c.out = c.out[:c.levels[1].element]
		c.drop(0, len(c.out))
		c.dropped.digest = c.rest
	}
}

// endMember notes that a value of the event ends, if one does.
func (c *condenser) endMember() {
	if c.depth != 1 || !c.member.isBody {
		return
	}
	if c.dropped.active && c.dropped.level == 0 {
		if c.rest.hash != nil && c.dropped.hash == c.rest.hash {
			c.rest = c.dropped.digest
			c.levels[1].count--
		} else {
			c.out = append(c.out, quoted(c.dropped.mark(leftOut))...)
		}
		c.dropped = dropped{}
	}
	c.bodies += len(c.out) - c.member.begin
	c.member.isBody = false
}

// bound begins to leave out what has become too long.
func (c *condenser) bound() {
	if c.dropped.active || c.leaf != noLeaf && !c.member.isBody {
		return
	}
	if c.member.isBody {
		most := c.body
		if c.member.unknown {
			most = min(most, maxUnknownBytes)
		}
		if len(c.out)-c.member.begin > most {
			c.drop(0, c.member.begin)
		}
		return
	}
	for level := 2; level <= min(c.depth, maxLevels); level++ {
		l := &c.levels[level]
		if len(c.out)-l.begin > c.most(c.container)*(1+maxLevels-level) || l.count > maxElements {
			c.drop(level, l.element)
			return
		}
	}
}

// drop leaves out what was written from a place on, and what follows.
func (c *condenser) drop(level, from int) {
	c.cut = true
	c.dropped = dropped{active: true, level: level}
	if level > 0 {
		c.dropped.digest = c.levels[level].rest
	}
	c.dropped.add(c.key, c.out[from:])
	c.out = c.out[:from]
}

// endElement notes that one that is left out ends.
func (c *condenser) endElement() {
	if !c.dropped.active || c.dropped.level == 0 || c.dropped.level != c.depth {
		return
	}
	l := &c.levels[c.depth]
	l.rest = c.dropped.digest
	l.count--
	c.dropped = dropped{}
}

// putElements writes the mark that stands for elements of a container.
func (c *condenser) putElements() {
	l := &c.levels[c.depth]
	if l.rest.hash == nil {
		return
	}
	if len(c.out) > l.begin {
		c.out = append(c.out, ',')
	}
	c.out = appendMark(c.out, quoted(l.rest.mark(leftOut)), l)
	l.rest = digest{}
}

func appendMark(out, text []byte, l *containerLevel) []byte {
	if l.opening == '{' {
		out = append(append(out, quoted(leftOutAs)...), ':')
	}
	if l.opening == '{' && l.lists {
		return append(append(append(out, '['), text...), ']')
	}
	return append(out, text...)
}

// putRest writes the mark for members of the event that nobody knows.
func (c *condenser) putRest() {
	if c.rest.hash == nil {
		return
	}
	if c.levels[1].count > 0 {
		c.out = append(c.out, ',')
	}
	c.out = appendMark(c.out, quoted(c.rest.mark(leftOut)), &containerLevel{opening: '{'})
	c.rest = digest{}
}

// end returns the copy.
func (c *condenser) end() (out []byte, cut bool) {
	c.endLeaf()
	return c.out, c.cut
}
