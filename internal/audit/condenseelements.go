package audit

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
