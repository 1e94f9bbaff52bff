package audit

import (
	"encoding/binary"
	"time"
)

// identify computes the event's ID. Bodies, kind and apiVersion are not in it:
// the same event comes with them or without, depending on the way. It is over
// what redaction takes out, so it is keyed: else whoever reads an event could
// try what was taken out of it until the ID fits.
func (p *parser) identify(source string) ID {
	w, h := &p.wire, identity(p.hashed[:0])
	h.add(source, w.Level, w.AuditID, w.Stage, w.RequestURI, w.Verb)
	h.user(&w.User)
	h.count(boolCount(w.ImpersonatedUser != nil))
	if w.ImpersonatedUser != nil {
		h.user(w.ImpersonatedUser)
	}
	h.count(boolCount(w.AuthenticationMetadata != nil))
	if a := w.AuthenticationMetadata; a != nil {
		h.add(a.ImpersonationConstraint)
	}
	h.list(w.SourceIPs)
	h.add(w.UserAgent)
	h.count(boolCount(w.ObjectRef != nil))
	if o := w.ObjectRef; o != nil {
		h.add(o.Resource, o.Namespace, o.Name, o.UID, o.APIGroup, o.APIVersion, o.ResourceVersion, o.Subresource)
	}
	h.add(p.status.canonical)
	h.instant(w.RequestReceivedTimestamp, p.received)
	h.instant(w.StageTimestamp, p.reached)
	h.count(len(w.Annotations))
	for _, m := range w.Annotations {
		h.add(m.name, m.value)
	}
	p.hashed = h
	if p.mac == nil {
		p.mac = p.key.hasher()
	}
	p.mac.Reset()
	p.mac.Write(h)
	return ID(p.mac.Sum(p.sum[:0])[:hashSize])
}

// identity is what is hashed: values with their lengths, so that no two lists
// of values are the same bytes.
type identity []byte

func (h *identity) add(values ...string) {
	for _, v := range values {
		h.count(len(v))
		*h = append(*h, v...)
	}
}

func (h *identity) count(n int) { *h = binary.BigEndian.AppendUint64(*h, uint64(n)) }

func (h *identity) list(values []string) {
	h.count(len(values))
	h.add(values...)
}

func (h *identity) user(u *wireUser) {
	h.add(u.Username, u.UID)
	h.list(u.Groups)
	h.count(len(u.Extra))
	for _, m := range u.Extra {
		h.add(m.name)
		h.list(m.values)
	}
}

// instant adds a time as its microseconds, however it was written, and
// anything else as it is.
func (h *identity) instant(t wireText, at time.Time) {
	if !at.IsZero() {
		h.add("time")
		h.count(int(at.UnixMicro()))
		return
	}
	h.add("text", canonical(t))
}

func boolCount(b bool) int {
	if b {
		return 1
	}
	return 0
}
