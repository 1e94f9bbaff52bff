package audit

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Bounds of the texts of an event's row, whatever a client sent. The event's
// raw keeps what they cut.
const (
	// MaxExactText bounds what filters ask for exactly, in characters: as long
	// as a value of a filter may be.
	MaxExactText = 256
	// MaxPath and MaxUserAgent are in bytes.
	MaxPath      = 4 << 10
	MaxUserAgent = 1 << 10
	// MaxEndIPs is how many of sourceIPs are kept from the beginning, and how
	// many from the end: the last one alone cannot be forged.
	MaxEndIPs = 15
)

// cutEnd is what a cut text ends in: a tilde, and the keyed hash of the whole.
const cutEnd = 1 + 2*hashSize

// IsCut reports whether a text of a row has the form of one that was cut from
// more than MaxExactText characters. A client can write one of this form
// itself, so it means something only where the event is Truncated.
func IsCut(text string) bool {
	if len(text) < MaxExactText || utf8.RuneCountInString(text) != MaxExactText {
		return false
	}
	return endsAsCut(text)
}

// IsCutAt is IsCut of texts that are cut at so many bytes: the path at MaxPath,
// the user agent at MaxUserAgent.
func IsCutAt(text string, most int) bool {
	return len(text) > most-utf8.UTFMax && len(text) <= most && endsAsCut(text)
}

func endsAsCut(text string) bool {
	end := text[len(text)-cutEnd:]
	return end[0] == '~' && strings.Trim(end[1:], "0123456789abcdef") == ""
}

// cutter cuts texts and notes that it did.
type cutter struct {
	key Key
	cut bool
}

// exact bounds a text that filters ask for exactly.
func (c *cutter) exact(text string) string {
	if len(text) <= MaxExactText || utf8.RuneCountInString(text) <= MaxExactText {
		return text
	}
	end := 0
	for range MaxExactText - cutEnd {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return c.end(text, end)
}

// bytes bounds a text to so many bytes.
func (c *cutter) bytes(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - cutEnd
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return c.end(text, end)
}

func (c *cutter) end(text string, at int) string {
	c.cut = true
	sum := c.key.Hash([]byte(text))
	// What is kept must not keep the whole.
	return text[:at] + "~" + hex.EncodeToString(sum[:])
}

// row cuts the texts of a row.
func (c *cutter) row(e *Event) {
	for _, text := range []*string{
		&e.AuditID, &e.Level, &e.Actor, &e.ActedVia, &e.CredentialID, &e.Verb, &e.Action,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName,
	} {
		if len(*text) > MaxExactText {
			*text = c.exact(*text)
		}
	}
	e.Groups, e.ActedViaGroups = c.groups(e.Groups), c.groups(e.ActedViaGroups)
	e.UserAgent = c.bytes(e.UserAgent, MaxUserAgent)
	e.Path = c.bytes(e.Path, MaxPath)
	e.Truncated = e.Truncated || c.cut
}

// addresses reads the addresses of a request: the first and the last ones,
// where there are many.
func addresses(room *room, texts []string) (ips []netip.Addr, cut bool) {
	first := 0
	for ; first < len(texts) && len(ips) < MaxEndIPs; first++ {
		if addr, ok := address(texts[first]); ok {
			if ips == nil {
				ips = room.addresses(min(len(texts)-first, 2*MaxEndIPs))
			}
			ips = append(ips, addr)
		}
	}
	var ends [MaxEndIPs]netip.Addr
	n, last := 0, len(texts)
	for ; last > first && n < MaxEndIPs; last-- {
		if addr, ok := address(texts[last-1]); ok {
			ends[n] = addr
			n++
		}
	}
	for n > 0 {
		n--
		ips = append(ips, ends[n])
	}
	for ; first < last && !cut; first++ {
		_, cut = address(texts[first])
	}
	return ips, cut
}

func address(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

// mark says what stood where it stands now. Its text is fixed but for length and hash.
func mark(what string, size int64, sum [hashSize]byte) string {
	return fmt.Sprintf("[%s: %d bytes, keyed hash %x]", what, size, sum)
}

// What was done to what a mark stands for.
const (
	leftOut   = "left out" // too large
	cutShort  = "cut"      // the rest of a text
	unread    = "unreadable"
	leftOutAs = "[left out]" // the name of the member that stands for others
)
