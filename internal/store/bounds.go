package store

import (
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Bounds of what a store keeps of an event beside its Raw. A decoder cuts
// texts to less than this, so that only events that came by another way are
// cut here: then a row has a largest size, whoever wrote it, and no read can
// fail for want of memory.
const (
	// MaxPath is the most bytes of a Path.
	MaxPath = 4<<10 + 64
	// MaxText is the most bytes of any other text.
	MaxText = 1<<10 + 64
	// MaxIPs is the most addresses. Of more the first half and the last one stay.
	MaxIPs = 30
)

// MaxAnswerBytes bounds the events that one call of View, Tail or SameRequest
// returns, as EventBytes counts them.
const MaxAnswerBytes = 8 << 20

// maxEventBytes is the most that EventBytes returns for an event within the
// bounds: 21 texts, the path, the groups of two identities and the addresses.
const maxEventBytes = fixedBytes + MaxPath + 21*MaxText + 2*(audit.MaxGroupBytes+audit.MaxGroups*groupBytes) + MaxIPs*ipBytes

const (
	fixedBytes = 256 // of times, numbers and hashes
	ipBytes    = 40  // of an address, as text
	groupBytes = 16  // of a group, beside its text
)

// MaxTail is the most events of one Tail: as many of the largest as fit
// MaxAnswerBytes.
const MaxTail = MaxAnswerBytes / maxEventBytes

// EventBytes returns about how many bytes an event without its Raw takes, in
// memory and in an answer.
func EventBytes(e *audit.Event) int {
	n := fixedBytes + len(e.IPs)*ipBytes + len(e.Path)
	for _, text := range texts(e) {
		n += len(*text)
	}
	for _, groups := range [...][]string{e.Groups, e.ActedViaGroups} {
		n += len(groups)*groupBytes + groupTexts(groups)
	}
	return n
}

func groupTexts(groups []string) (bytes int) {
	for _, group := range groups {
		bytes += len(group)
	}
	return bytes
}

// texts are the texts of an event but the path.
func texts(e *audit.Event) [21]*string {
	return [...]*string{
		&e.Source, &e.Cluster, &e.AuditID, &e.Level, &e.Stage,
		&e.Actor, &e.ActorKind, &e.ActedVia, &e.CredentialID, &e.Method, &e.Verb, &e.ResourceType, &e.Action,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName, &e.Client, &e.UserAgent,
	}
}

// Bounded returns the event as stores keep it: itself, or, where it is beyond
// the bounds, a copy that is cut and says so. A text that was cut ends in ~ and
// 128 bits of its SHA-256, so that texts which begin alike stay apart.
func Bounded(e *audit.Event) *audit.Event {
	if isBounded(e) {
		return e
	}
	cut := *e
	cut.Truncated = true
	cut.Path = cutText(e.Path, MaxPath)
	for _, text := range texts(&cut) {
		*text = cutText(*text, MaxText)
	}
	if n := len(e.IPs); n > MaxIPs {
		cut.IPs = append(e.IPs[:MaxIPs/2:MaxIPs/2], e.IPs[n-MaxIPs/2:]...)
	}
	cut.Groups, cut.ActedViaGroups = boundedGroups(e.Groups), boundedGroups(e.ActedViaGroups)
	return &cut
}

func boundedGroups(groups []string) []string {
	cut := make([]string, len(groups))
	for i, group := range groups {
		cut[i] = cutText(group, MaxText)
	}
	kept, _ := audit.LimitGroups(cut, audit.MaxGroups, audit.MaxGroupBytes)
	return kept
}

func isBounded(e *audit.Event) bool {
	if len(e.Path) > MaxPath || len(e.IPs) > MaxIPs {
		return false
	}
	for _, text := range texts(e) {
		if len(*text) > MaxText {
			return false
		}
	}
	for _, groups := range [...][]string{e.Groups, e.ActedViaGroups} {
		if len(groups) > audit.MaxGroups || groupTexts(groups) > audit.MaxGroupBytes {
			return false
		}
		for _, group := range groups {
			if len(group) > MaxText {
				return false
			}
		}
	}
	return true
}

// cutText cuts a text that is longer than most bytes to at most so many.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	mark := "~" + hex.EncodeToString(sum[:16])
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// Room is what an answer has left for events.
type Room struct{ used, most int }

// NewRoom returns room for most bytes of events, at most MaxAnswerBytes, which
// 0 stands for.
func NewRoom(most int) *Room {
	if most <= 0 || most > MaxAnswerBytes {
		most = MaxAnswerBytes
	}
	return &Room{most: most}
}

// Take reports whether there is room for an event, and takes it. For the first
// event there is, so that pages go on.
func (r *Room) Take(e *audit.Event) bool {
	n := EventBytes(e)
	if r.used > 0 && r.used+n > r.most {
		return false
	}
	r.used += n
	return true
}
