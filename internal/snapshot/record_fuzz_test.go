package snapshot

import (
	"net/netip"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// A line that was written reads as it was, and what reads is written the same:
// the digest must not depend on who wrote it.
func FuzzRecord(f *testing.F) {
	f.Add("alice", "application.create", "shop", "/x?a=<b>&c=\u2028", int64(1e15), 200, "192.0.2.7", uint8(1))
	f.Add("", "", "", "", int64(0), 0, "", uint8(0))
	f.Add("\x00\x1f\"\\", "é", "\u202e", "\U0001F600", int64(253402300799999999), 599, "2001:db8::1", uint8(2))
	f.Fuzz(func(t *testing.T, actor, action, namespace, path string, micros int64, code int, ip string, dryRun uint8) {
		at := time.UnixMicro(micros).UTC()
		if at.Year() < 1 || at.Year() > 9999 {
			return // stores hold no such time
		}
		e := event(1, namespace)
		e.Actor, e.Action, e.Path, e.StatusCode, e.DryRun, e.OccurredAt, e.IPs = actor, action, path, code, audit.DryRun(dryRun%3), at, nil
		if addr, err := netip.ParseAddr(ip); err == nil {
			e.IPs = []netip.Addr{addr.WithZone("")}
		}
		r := NewRecord(&e)
		line, err := r.AppendLine(nil)
		if err != nil {
			if utf8.ValidString(actor) && utf8.ValidString(action) && utf8.ValidString(namespace) && utf8.ValidString(path) {
				t.Fatalf("%+v can't be written: %v", r, err)
			}
			return // stores hold valid text, see store.Text
		}
		read, err := ParseRecord(line)
		if err != nil {
			t.Fatalf("%s can't be read: %v", line, err)
		}
		if diff := cmp.Diff(r, read, cmpopts.EquateEmpty(), cmp.AllowUnexported(recordTime{})); diff != "" {
			t.Error(diff)
		}
		again, err := read.AppendLine(nil)
		if err != nil || string(again) != string(line) {
			t.Errorf("written again: %s (%v), before: %s", again, err, line)
		}
	})
}

// What somebody else wrote is refused or read, and never crashes the reader.
func FuzzParseRecord(f *testing.F) {
	e := event(1, "shop")
	r := NewRecord(&e)
	line, err := r.AppendLine(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"id":"x","unknown":1}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseRecord(line)
		if err != nil {
			return
		}
		if written, err := r.AppendLine(nil); err == nil {
			if again, err := ParseRecord(written); err != nil || cmp.Diff(r, again, cmpopts.EquateEmpty(), cmp.AllowUnexported(recordTime{})) != "" {
				t.Errorf("%+v reads differently after it was written (%v)", r, err)
			}
		}
	})
}
