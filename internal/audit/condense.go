package audit

import (
	"bytes"
	"hash"
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

// end returns the copy.
func (c *condenser) end() (out []byte, cut bool) {
	c.endLeaf()
	return c.out, c.cut
}
