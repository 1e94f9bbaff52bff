package audit

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit/envelope"
)

// record is an object as it is read: a list, an event, or what an envelope is.
type record struct {
	whole   span // without the elements of lists
	isList  bool
	isEvent bool // it has a member that only events have
	carries bool // it has one that may carry an event
}

// object reads a list or an event. Members are gathered until one is a list of
// items. Without such a list they are an event, or carry one.
func (d *decoding) object() error {
	r := &record{whole: span{most: envelope.MaxRecord}}
	before := d.undecided
	err := d.members(r)
	if d.undecided == before {
		return err
	}
	if decideErr := d.decide(r); err == nil {
		err = decideErr
	}
	return err
}

func (d *decoding) members(r *record) error {
	whole := &r.whole
	d.partial = whole
	d.gather('{', whole)
	for members := 0; !d.gather('}', whole); members++ {
		if members > 0 && !d.gather(',', whole) {
			return d.unlessReader()
		}
		if err := d.member(r); err != nil {
			return err
		}
	}
	d.partial = nil
	if !r.isList || r.carries {
		return d.finish(whole)
	}
	var header struct {
		AuditID jsontext.Value `json:"auditID"`
	}
	if err := json.Unmarshal(whole.bytes, &header, parseOptions); err != nil || header.AuditID != nil {
		return d.quarantine(whole, "the list has members that a list of events has not; its items were taken")
	}
	return nil
}

// member reads a member of an object.
func (d *decoding) member(r *record) (err error) {
	name, before := &span{}, len(r.whole.bytes)
	if first, err := d.scan.next(); err != nil {
		return cutOff(err)
	} else if first != '"' {
		return errBroken
	}
	err = d.scan.value(name)
	d.scan.add(&r.whole, name.bytes)
	if err != nil {
		return err
	}
	if !d.gather(':', &r.whole) {
		return d.unlessReader()
	}
	first, err := d.scan.next()
	if err != nil {
		return cutOff(err)
	}
	if ahead, _ := d.scan.r.Peek(lookAhead); d.scan.fresh && (first == '{' || first == '[') && beginsItem(ahead) {
		return errBroken // the line was cut off behind the name
	}
	isList := d.isList(r, name.bytes, first)
	r.note(name.bytes)
	switch {
	case !isList:
		return d.scan.value(&r.whole)
	case first == '[':
		if err := d.list(string(unquoted(name.bytes)), r.whole.bytes[:min(before, len(r.whole.bytes))]); err != nil {
			return err
		}
		r.isList, d.partial = true, &r.whole
		d.scan.add(&r.whole, []byte("[]"))
		return nil
	}
	word := &span{}
	err = d.scan.value(word)
	d.scan.add(&r.whole, word.bytes)
	r.isList = r.isList || string(word.bytes) == "null"
	return err
}

// note sees the name of a member. One that only events have ends that the
// object is held beyond an event's bound.
func (r *record) note(name []byte) {
	switch string(name) {
	case `"level"`, `"auditID"`, `"stage"`, `"requestURI"`, `"verb"`:
		r.isEvent, r.whole.most = true, 0
		return
	}
	r.carries = r.carries || envelope.IsCarrier(string(unquoted(name)))
}
