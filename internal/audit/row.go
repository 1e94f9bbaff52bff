package audit

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
)

// FreeRawBytes is the size up to which a raw needs no allowance: one of the
// level Metadata, unless a client made it larger.
const FreeRawBytes = 4 << 10

// event makes a row of the object that the parser has read, or says why that is
// none.
func (d *decoding) event(object []byte, cut bool) (*Event, error) {
	p, w := d.parser, &d.parser.wire
	if kind, ok := w.Kind.text(); ok && kind != "" && kind != "Event" {
		return nil, errors.New("kind is not Event")
	}
	if p.received.IsZero() && p.reached.IsZero() {
		return nil, errors.New("neither requestReceivedTimestamp nor stageTimestamp is a time")
	}
	if !slices.Contains(Stages, w.Stage) {
		return nil, errors.New("stage is none of RequestReceived, ResponseStarted, ResponseComplete, Panic")
	}
	event := p.room.event()
	event.ID, event.Source, event.Cluster = p.identify(d.Source), d.Source, d.Cluster
	event.AuditID, event.Level, event.Stage = w.AuditID, w.Level, w.Stage
	event.OccurredAt, event.StageAt = p.received, p.reached
	if p.received.IsZero() {
		event.OccurredAt = p.reached
	}
	if p.reached.IsZero() {
		event.StageAt = p.received
	}
	event.Truncated = cut || p.mended
	d.Classifier.classify(p, event)
	event.Foreign = foreign(d.APIGroups, w, event)
	if event.Client == ClientOperator && len(d.APIGroups) > 0 {
		event.Client = p.agents.kind(w.UserAgent) // it says so, and can't know
	}
	if err := d.raw(object, event); err != nil {
		return nil, err
	}
	event.Path, event.UserAgent = w.RequestURI, w.UserAgent // without what was secret
	texts := cutter{key: d.Key}
	texts.row(event)
	return event, nil
}

// raw redacts the event, and gives it as much of itself as it may keep.
func (d *decoding) raw(object []byte, event *Event) error {
	p, w := d.parser, &d.parser.wire
	sparing := len(object) > FreeRawBytes && d.AllowRaw != nil && !d.AllowRaw(rawIdentity(w.User.Username, event.StatusCode), len(object))
	changed := false
	switch {
	case sparing:
		changed = w.leaveOutBodies(d.Key, 0, 0)
	case len(object) > d.scan.max:
		changed = w.leaveOutBodies(d.Key, len(object), d.scan.max)
	}
	event.Truncated = event.Truncated || changed
	changed = w.redact(d.Redaction, p.plain) || changed
	raw := p.room.raw(min(len(object), d.scan.max) + len(object)/8)
	if p.exact && !changed {
		raw = append(raw, object...)
	} else {
		var err error
		if raw, err = w.append(raw); err != nil {
			return err
		}
	}
	if sparing || len(raw) > d.scan.max {
		short, cut := d.shorten(raw, sparing)
		event.Truncated = event.Truncated || cut
		raw = append(p.room.raw(len(short)), short...)
	}
	event.Raw = p.room.keepRaw(raw)
	event.RawSHA256 = sha256.Sum256(event.Raw)
	return nil
}

// Extents of a raw that must be shorter, one after the other until it fits. What
// is left by the last one is the server's own, and kept.
var rawExtents = []extent{
	{text: 4 << 10, container: 8 << 10},
	{text: 1 << 10, container: 2 << 10},
	{text: 256, container: 512},
}

// shorten cuts the texts of a raw, and what there are too many of.
func (d *decoding) shorten(raw []byte, sparing bool) (short []byte, cut bool) {
	for _, to := range rawExtents {
		to.body, to.total = d.scan.max, len(raw)
		if sparing {
			to.body = FreeRawBytes
		}
		if short, cut = condense(d.Key, raw, to); len(short) <= d.scan.max {
			break
		}
	}
	return short, cut
}

// leaveOutBodies puts marks for bodies, the largest first, until the event of so
// many bytes has no more than the bound.
func (w *wireEvent) leaveOutBodies(key Key, size, most int) (changed bool) {
	bodies := []*[]byte{(*[]byte)(&w.ResponseObject), (*[]byte)(&w.RequestObject)}
	slices.SortStableFunc(bodies, func(a, b *[]byte) int { return len(*b) - len(*a) })
	for _, body := range bodies {
		if len(*body) == 0 || size > 0 && size <= most {
			continue
		}
		mark := bodyMark(key, *body)
		if len(mark) >= len(*body) {
			continue
		}
		size -= len(*body) - len(mark)
		*body, changed = mark, true
	}
	return changed
}

// SharedIdentity is the identity of whoever the API server did not know or did
// not let do what was asked: anybody can send any number of such requests.
const SharedIdentity = ""

// rawIdentity says whose allowance a raw is taken from. Whoever may make one
// service account may make many, so those of a namespace are one.
func rawIdentity(user string, code int) string {
	if code == 401 || code == 403 || actorKind(user) == ActorAnonymous {
		return SharedIdentity
	}
	if rest, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		namespace, _, _ := strings.Cut(rest, ":")
		return user[:len(user)-len(rest)+len(namespace)]
	}
	return user
}
