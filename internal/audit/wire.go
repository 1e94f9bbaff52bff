package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireEvent is an event as API servers write it (audit.k8s.io/v1, with its
// fields in that order), as far as this package reads it. What it doesn't know
// it keeps.
type wireEvent struct {
	Kind                     wireText          `json:"kind,omitzero"`
	APIVersion               wireText          `json:"apiVersion,omitzero"`
	Level                    string            `json:"level,omitempty"`
	AuditID                  string            `json:"auditID,omitempty"`
	Stage                    string            `json:"stage,omitempty"`
	RequestURI               string            `json:"requestURI,omitempty"`
	Verb                     string            `json:"verb,omitempty"`
	User                     wireUser          `json:"user"`
	ImpersonatedUser         *wireUser         `json:"impersonatedUser,omitempty"`
	SourceIPs                []string          `json:"sourceIPs,omitempty"`
	UserAgent                string            `json:"userAgent,omitempty"`
	ObjectRef                *wireObjectRef    `json:"objectRef,omitempty"`
	ResponseStatus           jsontext.Value    `json:"responseStatus,omitempty"`
	RequestObject            jsontext.Value    `json:"requestObject,omitempty"`
	ResponseObject           jsontext.Value    `json:"responseObject,omitempty"`
	RequestReceivedTimestamp wireText          `json:"requestReceivedTimestamp,omitzero"`
	StageTimestamp           wireText          `json:"stageTimestamp,omitzero"`
	Annotations              map[string]string `json:"annotations,omitempty"`
	Unknown                  jsontext.Value    `json:",embed"`
}

type wireUser struct {
	Username string              `json:"username,omitempty"`
	UID      string              `json:"uid,omitempty"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
	Unknown  jsontext.Value      `json:",embed"`
}

type wireObjectRef struct {
	Resource        string         `json:"resource,omitempty"`
	Namespace       string         `json:"namespace,omitempty"`
	Name            string         `json:"name,omitempty"`
	UID             string         `json:"uid,omitempty"`
	APIGroup        string         `json:"apiGroup,omitempty"`
	APIVersion      string         `json:"apiVersion,omitempty"`
	ResourceVersion string         `json:"resourceVersion,omitempty"`
	Subresource     string         `json:"subresource,omitempty"`
	Unknown         jsontext.Value `json:",embed"`
}

// wireText is a value that ought to be a string, but was seen to be something else.
type wireText jsontext.Value

func (t wireText) MarshalJSON() ([]byte, error) { return jsontext.Value(t).MarshalJSON() }

// UnmarshalJSON keeps any value.
func (t *wireText) UnmarshalJSON(b []byte) error {
	*t = append((*t)[:0], b...)
	return nil
}

func (t wireText) text() (string, bool) {
	var s string
	if len(t) == 0 || t[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(t, &s, parseOptions) == nil
}

// timeLayouts are the forms in which times were seen; those without a zone are
// in UTC.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
}

// time returns the time in whole microseconds of UTC, or zero if it is none.
func (t wireText) time() time.Time {
	s, ok := t.text()
	if !ok {
		return time.Time{}
	}
	for _, layout := range timeLayouts {
		// A year before 1970 is a clock that was never set, or no year at all.
		if at, err := time.Parse(layout, s); err == nil && at.Year() >= 1970 && at.Year() <= 9999 {
			return at.UTC().Truncate(time.Microsecond)
		}
	}
	return time.Time{}
}

// identify computes the event's ID. Bodies, kind and apiVersion are not in it:
// the same event comes with them or without, depending on the way.
func (w *wireEvent) identify(source string) ID {
	h := identity{sha256.New()}
	h.add(source, w.Level, w.AuditID, w.Stage, w.RequestURI, w.Verb)
	h.user(&w.User)
	h.count(boolCount(w.ImpersonatedUser != nil))
	if w.ImpersonatedUser != nil {
		h.user(w.ImpersonatedUser)
	}
	h.list(w.SourceIPs)
	h.add(w.UserAgent)
	h.count(boolCount(w.ObjectRef != nil))
	if o := w.ObjectRef; o != nil {
		h.add(o.Resource, o.Namespace, o.Name, o.UID, o.APIGroup, o.APIVersion, o.ResourceVersion, o.Subresource)
	}
	h.add(canonical(w.ResponseStatus))
	h.instant(w.RequestReceivedTimestamp)
	h.instant(w.StageTimestamp)
	h.count(len(w.Annotations))
	for _, name := range slices.Sorted(maps.Keys(w.Annotations)) {
		h.add(name, w.Annotations[name])
	}
	return ID(h.Sum(nil)[:16])
}

// identity hashes values with their lengths, so that no two lists of values
// are the same bytes.
type identity struct{ hash.Hash }

func (h identity) add(values ...string) {
	for _, v := range values {
		h.count(len(v))
		h.Write([]byte(v))
	}
}

func (h identity) count(n int) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func (h identity) list(values []string) {
	h.count(len(values))
	h.add(values...)
}

func (h identity) user(u *wireUser) {
	h.add(u.Username, u.UID)
	h.list(u.Groups)
	h.count(len(u.Extra))
	for _, name := range slices.Sorted(maps.Keys(u.Extra)) {
		h.add(name)
		h.list(u.Extra[name])
	}
}

// instant hashes a time as its microseconds, however it was written, and
// anything else as it is.
func (h identity) instant(t wireText) {
	if at := t.time(); !at.IsZero() {
		h.add("time")
		h.count(int(at.UnixMicro()))
		return
	}
	h.add("text", canonical(jsontext.Value(t)))
}

func boolCount(b bool) int {
	if b {
		return 1
	}
	return 0
}

// canonical writes a value in one way, whatever the order of its members.
func canonical(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	c := v.Clone()
	if err := c.Canonicalize(jsontext.AllowInvalidUTF8(true)); err != nil {
		return string(v)
	}
	return string(c)
}
