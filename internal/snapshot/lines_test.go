package snapshot

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// largest is as large as a store keeps events, of a character that takes six
// bytes in JSON.
func largest(n int) *audit.Event {
	e := event(n, "")
	long := strings.Repeat("\x01", store.MaxPath)
	for _, text := range []*string{
		&e.Path, &e.UserAgent, &e.AuditID, &e.Actor, &e.ActedVia, &e.CredentialID, &e.ResourceName, &e.Action, &e.Verb,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.Cluster, &e.Source, &e.ResourceType,
	} {
		*text = long
	}
	e.ActorKind, e.Level, e.Stage, e.Method = audit.ActorServiceAccount, "RequestResponse", audit.StageResponseComplete, "OPTIONS"
	e.Groups = slices.Repeat([]string{strings.Repeat("\x01", audit.MaxGroupBytes/audit.MaxGroups)}, audit.MaxGroups)
	e.ActedViaGroups = e.Groups
	e.IPs = nil
	for range 100 {
		e.IPs = append(e.IPs, netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"))
	}
	return store.Bounded(&e)
}

// A body never passes its bound. Texts are cut before rows are left out, those
// of long rows alone, and then the oldest rows.
func TestBodyIsBounded(t *testing.T) {
	small := event(1, "shop")
	record := NewRecord(&small)
	line, err := record.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		room                      int64
		rows                      int
		fat                       func(i int) bool
		stored, shortened, oldest int
	}{
		"small rows":              {int64(100 * len(line)), 100, func(int) bool { return false }, 100, 0, 0},
		"no byte too many":        {int64(100*len(line) - 1), 100, func(int) bool { return false }, 100, 1, 0},
		"fat rows":                {100 * leastLine, 100, func(int) bool { return true }, 100, 100, 0},
		"one fat row":             {200 * int64(len(line)), 100, func(i int) bool { return i == 99 }, 100, 1, 0},
		"fat rows before a small": {101 * leastLine, 101, func(i int) bool { return i < 100 }, 101, 100, 0},
		"rows beyond the bound":   {MaxBody, MaxBody/leastLine + 2000, func(i int) bool { return i%1000 == 0 }, MaxBody / leastLine, 0, 2000},
	} {
		var out bytes.Buffer
		l := newLines(&out)
		l.begin(int64(tt.rows))
		l.left = tt.room
		kept := -1
		for i := range tt.rows {
			e := &small
			if tt.fat(i) {
				e = largest(i)
			}
			before := l.stored
			if err := l.add(e); err != nil {
				t.Fatal(err)
			}
			if kept < 0 && l.stored > before {
				kept = i
			}
		}
		if int64(out.Len()) > tt.room || l.stored != int64(tt.stored) || tt.shortened > 0 && l.shortened != int64(tt.shortened) || kept != tt.oldest {
			t.Errorf("%s: %d bytes of %d, %d rows from %d on, %d shortened; want %d rows from %d on, %d shortened",
				name, out.Len(), tt.room, l.stored, kept, l.shortened, tt.stored, tt.oldest, tt.shortened)
		}
		for line := range bytes.Lines(out.Bytes()) {
			if _, err := ParseRecord(bytes.TrimSpace(line)); err != nil {
				t.Fatalf("%s: %v: %s", name, err, line)
			}
		}
	}
}

// leastLine is what the bound of rows is computed from.
func TestLeastLine(t *testing.T) {
	var out bytes.Buffer
	l := newLines(&out)
	if err := l.fit(largest(1), 0); err != nil || len(l.line) > leastLine {
		t.Errorf("a line cut as far as may be has %d bytes, more than %d: %v", len(l.line), leastLine, err)
	}
}

// A snapshot of fat rows says that it was cut, in its manifest.
func TestShortenedSnapshot(t *testing.T) {
	var events []audit.Event
	for i := range 1200 {
		events = append(events, *largest(i + 1))
		events[i].ResourceName = fmt.Sprint(i)
	}
	s := newStore(t, events...)
	r := request("fat")
	r.Limit = 50_000
	m, err := Take(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	stored := body(t, s, r.Scope, m.ID)
	if len(stored) > MaxBody || m.Stored != 1200 || m.Shortened == 0 || !m.Truncated {
		t.Errorf("%d bytes of %d rows, %d shortened, truncated: %t", len(stored), m.Stored, m.Shortened, m.Truncated)
	}
}
