package embedded

import (
	"encoding/binary"
	"hash/crc32"
)

// frameChecker is given a segment from its start, in pieces, and finds out
// whether it is a sequence of whole frames. It does not unpack them.
type frameChecker struct {
	header  [frameHeader]byte
	have    int   // bytes of header
	left    int64 // packed bytes to come
	sum     uint32
	damaged bool
}

func (c *frameChecker) add(p []byte) {
	for len(p) > 0 && !c.damaged {
		if c.have < frameHeader {
			n := copy(c.header[c.have:], p)
			c.have += n
			p = p[n:]
			if c.have == frameHeader {
				c.begin()
			}
			continue
		}
		n := min(int64(len(p)), c.left)
		c.sum = crc32.Update(c.sum, castagnoli, p[:n])
		c.left -= n
		p = p[n:]
		c.endIfWhole()
	}
}

func (c *frameChecker) begin() {
	c.damaged = binary.LittleEndian.Uint32(c.header[0:]) != frameMagic
	c.left = int64(binary.LittleEndian.Uint32(c.header[4:]))
	c.sum = crc32.Checksum(c.header[:12], castagnoli)
	c.endIfWhole()
}

func (c *frameChecker) endIfWhole() {
	if c.left == 0 {
		c.damaged = c.damaged || c.sum != binary.LittleEndian.Uint32(c.header[12:])
		c.have = 0
	}
}

// whole reports whether what was added ends with a frame and none was damaged.
func (c *frameChecker) whole() bool { return !c.damaged && c.have == 0 }
