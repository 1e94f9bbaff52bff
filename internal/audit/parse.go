package audit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// parseOptions tolerate what clients can bring into an event.
var parseOptions = json.JoinOptions(jsontext.AllowInvalidUTF8(true))

// parser reads one event after the other and uses its memory again; what it
// read is good until the next one. It is for one goroutine.
//
// Events that are as API servers write them are read in place. For all others,
// and for what is wrong, the general parser is asked: both give the same event.
type parser struct {
	lexer
	key Key // the store's
	// mended says that a mark stands in the event for what could not be read.
	mended            bool
	wire              wireEvent
	status            status
	received, reached time.Time

	statuses     statuses
	agents       agents
	plain        plainTexts
	reading      *wireUser // the one whose members are read
	hasUser      bool
	impersonated wireUser
	objectRef    wireObjectRef
	values       []string // of the lists in extra
	hashed       []byte

	authenticationMetadata wireAuthentication
	mac                    hash.Hash // under the key, once an event was identified
	sum                    [sha256.Size]byte
}

var parsers = sync.Pool{New: func() any { return &parser{statuses: statuses{}, agents: agents{}, plain: plainTexts{}} }}

func newParser() *parser { return parsers.Get().(*parser) }

// release gives back what the parser learnt, and nothing that an event holds.
func (p *parser) release() {
	const most = 64 << 10
	kept := &parser{statuses: p.statuses, agents: p.agents, plain: p.plain}
	if cap(p.scratch) <= most {
		kept.scratch = p.scratch
	}
	if cap(p.hashed) <= most {
		kept.hashed = p.hashed
	}
	parsers.Put(kept)
}

// inPlace reads the event that begins the input, and returns its length.
func (p *parser) inPlace(in []byte) (n int, ok bool) {
	p.lexer.in, p.lexer.at, p.exact, p.mended = in, 0, true, false
	p.reset()
	if !p.event() || p.complete() != nil {
		return 0, false
	}
	return p.at, true
}

// general reads an item that is one event, of any kind. Its error says why it
// is none, without repeating any of its values.
func (p *parser) general(item []byte) error {
	p.exact, p.mended = false, false
	p.wire = wireEvent{}
	err := json.Unmarshal(item, &p.wire, parseOptions)
	if err == nil && p.isShallow() && p.complete() == nil {
		return nil
	}
	if mendErr := p.mend(item); err == nil {
		err = mendErr
	} else if mendErr == nil {
		return nil
	}
	if err != nil {
		return wireProblem(err)
	}
	return nil
}

// isShallow reports whether nothing in the event nests too deep.
func (p *parser) isShallow() bool {
	w := &p.wire
	for _, v := range []jsontext.Value{w.RequestObject, w.ResponseObject, w.ResponseStatus, w.Unknown, w.User.Unknown} {
		if isDeep(v) {
			return false
		}
	}
	return w.AuthenticationMetadata == nil || !isDeep(w.AuthenticationMetadata.Unknown)
}

// complete derives what more than one reader of the event needs.
func (p *parser) complete() (err error) {
	p.received, p.reached = p.wire.RequestReceivedTimestamp.time(), p.wire.StageTimestamp.time()
	p.status, err = p.statuses.read(p.wire.ResponseStatus)
	p.exact = p.exact && string(p.status.written) == string(p.wire.ResponseStatus)
	p.wire.ResponseStatus = p.status.written
	return err
}

// reset empties the event and keeps its memory.
func (p *parser) reset() {
	w := &p.wire
	groups, extra, ips, annotations := w.User.Groups[:0], w.User.Extra[:0], w.SourceIPs[:0], w.Annotations[:0]
	*w = wireEvent{}
	w.User.Groups, w.User.Extra, w.SourceIPs, w.Annotations = groups, extra, ips, annotations
	p.values = p.values[:0]
}

// join keeps a text made of parts.
func (p *parser) join(parts ...string) string {
	p.scratch = p.scratch[:0]
	for _, part := range parts {
		p.scratch = append(p.scratch, part...)
	}
	return p.room.text(p.scratch)
}

// wireProblem says where an item is not as an event should be. The parser's own
// message may repeat a value, which may be secret.
func wireProblem(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return fmt.Errorf("%s has another type than an audit event's", semantic.JSONPointer)
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return errTwice
		}
		return fmt.Errorf("not valid JSON at byte %d of the item", syntactic.ByteOffset)
	}
	return errors.New("not an audit event")
}
