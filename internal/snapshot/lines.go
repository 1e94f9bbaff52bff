package snapshot

import (
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// MaxBody is the most bytes of a snapshot's body. Texts are cut before rows are
// left out: a row that is short says more than one that is not there.
const MaxBody = 64 << 20

// leastLine is at least as long as a line whose texts are cut to leastText.
const leastLine = 1300

// Bytes of each text of a record, from which on they are halved until its line
// fits.
const (
	mostText  = 2 << 10
	leastText = 4
)

// lines writes a snapshot's body. Each has an equal part of what is left for it
// and those after it, and what it does not take is left for them.
type lines struct {
	out  io.Writer
	line []byte
	left int64 // bytes
	// rows are to come, and skip of them, the oldest, have no room.
	rows, skip int64
	stored     int64
	shortened  int64 // of those stored, whose texts were cut
}

func newLines(out io.Writer) *lines { return &lines{out: out, left: MaxBody} }

// begin hears how many rows are to come.
func (l *lines) begin(rows int64) {
	l.rows = rows
	if most := int64(MaxBody / leastLine); rows > most {
		l.skip = rows - most
	}
}

// add writes the next row, or leaves it out.
func (l *lines) add(e *audit.Event) error {
	if l.skip > 0 {
		l.skip--
		l.rows--
		return nil
	}
	if err := l.fit(e, int(l.left/max(1, l.rows))); err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	l.rows--
	l.left -= int64(len(l.line))
	l.stored++
	_, err := l.out.Write(l.line)
	return err
}

// fit makes a line of an event, of at most so many bytes.
func (l *lines) fit(e *audit.Event, most int) error {
	if store.EventBytes(e) <= 2*most { // else it is clear without a try
		if err := l.encode(e); err != nil || len(l.line) <= most {
			return err
		}
	}
	l.shortened++
	for text := mostText; text >= leastText; text /= 2 {
		if text > most/2 && text > leastText {
			continue
		}
		if err := l.encode(shortened(e, text)); err != nil || len(l.line) <= most {
			return err
		}
	}
	return nil
}

func (l *lines) encode(e *audit.Event) (err error) {
	record := NewRecord(e)
	l.line, err = record.AppendLine(l.line[:0])
	return err
}

// shortened returns an event with texts of at most so many bytes and a ~ where
// one was cut, and of its addresses the last, which alone can't be forged.
func shortened(e *audit.Event, most int) *audit.Event {
	cut := *e
	cut.Truncated = true
	for _, text := range []*string{
		&cut.Path, &cut.UserAgent, &cut.AuditID, &cut.Actor, &cut.ActedVia, &cut.CredentialID, &cut.ResourceName, &cut.Action, &cut.Verb,
		&cut.APIGroup, &cut.APIVersion, &cut.Resource, &cut.Subresource, &cut.Namespace, &cut.Cluster, &cut.Source, &cut.ResourceType,
	} {
		if len(*text) <= most {
			continue
		}
		end := most
		for end > 0 && !utf8.RuneStart((*text)[end]) {
			end--
		}
		*text = (*text)[:end] + "~"
	}
	cut.Groups, cut.ActedViaGroups = shortenedGroups(cut.Groups, most), shortenedGroups(cut.ActedViaGroups, most)
	cut.IPs = cut.IPs[max(0, len(cut.IPs)-1):]
	return &cut
}

// bytesOfGroup is how many bytes of text there are for each group that is kept.
const bytesOfGroup = 16

// shortenedGroups returns groups of at most so many bytes together; none where
// that is little.
func shortenedGroups(groups []string, most int) []string {
	kept, _ := audit.LimitGroups(groups, most/bytesOfGroup, most)
	return kept
}
