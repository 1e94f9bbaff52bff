package audit

import (
	"net/netip"
	"strings"
)

// room is the memory of what a decoder hands out: many small things in few
// allocations. It is never used again; an allocation lives until the last
// thing in it is forgotten.
type room struct {
	texts  strings.Builder
	raws   []byte
	events []Event
	addrs  []netip.Addr
	names  []string
}

const (
	leastRoom = 4 << 10
	mostRoom  = 64 << 10
)

// text keeps a text.
func (r *room) text(text []byte) string {
	if len(text) > r.texts.Cap()-r.texts.Len() {
		if len(text) > leastRoom {
			return string(text)
		}
		size := min(max(leastRoom, 2*r.texts.Cap()), mostRoom)
		r.texts.Reset() // what was kept stays; the builder begins anew
		r.texts.Grow(size)
	}
	begin := r.texts.Len()
	r.texts.Write(text)
	return r.texts.String()[begin:]
}

// raw returns an empty slice to append about size bytes to. What was appended
// is then kept with keepRaw.
func (r *room) raw(size int) []byte {
	if free := cap(r.raws) - len(r.raws); free < size {
		r.raws = make([]byte, 0, max(size, min(max(leastRoom, 2*cap(r.raws)), mostRoom)))
	}
	return r.raws[len(r.raws):]
}

func (r *room) keepRaw(raw []byte) []byte {
	if free := cap(r.raws) - len(r.raws); len(raw) <= free {
		r.raws = r.raws[:len(r.raws)+len(raw)]
	} // else it outgrew the room, and was moved by append
	return raw[:len(raw):len(raw)]
}

func (r *room) event() *Event {
	if len(r.events) == 0 {
		r.events = make([]Event, 16)
	}
	e := &r.events[0]
	r.events = r.events[1:]
	return e
}

// addresses returns an empty slice for n addresses.
func (r *room) addresses(n int) []netip.Addr {
	if n > len(r.addrs) {
		r.addrs = make([]netip.Addr, max(n, 64))
	}
	list := r.addrs[:0:n]
	r.addrs = r.addrs[n:]
	return list
}
