package quarantine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

var now = time.Now().UTC().Truncate(time.Microsecond)

func filled(t *testing.T, items ...audit.Quarantined) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: now, Quarantined: items}); err != nil {
		t.Fatal(err)
	}
	return s
}

// The pages of a list are all of it, each item once, and say what is left.
func TestList(t *testing.T) {
	s := filled(t,
		audit.Quarantined{Source: "a", Cluster: "own", Reason: "one", Size: 1, Hash: [32]byte{0xab}, Redacted: []byte(`{"a":1}`)},
		audit.Quarantined{Source: "b", Reason: "two", Size: 2},
		audit.Quarantined{Source: "a", Reason: "three", Size: 3},
	)
	var got []Item
	for cursor := ""; ; {
		page, err := List(t.Context(), s, Request{Cursor: cursor, Limit: 1})
		if err != nil || len(page.Items) != 1 || page.AsOf.IsZero() {
			t.Fatalf("List = %+v, %v", page, err)
		}
		got = append(got, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	want := []Item{
		{Source: "a", ReceivedAt: now, Reason: "three", Size: 3},
		{Source: "b", ReceivedAt: now, Reason: "two", Size: 2},
		{Source: "a", Cluster: "own", ReceivedAt: now, Reason: "one", Size: 1, Hash: "ab" + strings.Repeat("0", 62), Content: `{"a":1}`, ContentBytes: 7},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the pages (-want +got):\n%s", d)
	}
	page, err := List(t.Context(), s, Request{Source: "b", Limit: 10})
	if d := cmp.Diff(want[1:2], page.Items); err != nil || d != "" || page.Next != "" {
		t.Errorf("of source b, %v (-want +got):\n%s", err, d)
	}
}

// A full page of the worst items is small, and its text is text.
func TestPageIsBounded(t *testing.T) {
	var items []audit.Quarantined
	for range store.MaxQuarantinePage + 1 {
		items = append(items, audit.Quarantined{
			Source: strings.Repeat("s", maxSource), Reason: strings.Repeat("\x01", 100<<10), Redacted: append(bytes.Repeat([]byte{1}, 64<<10), 0xff),
		})
	}
	page, err := List(t.Context(), filled(t, items...), Request{Limit: 1 << 20})
	if err != nil || len(page.Items) != store.MaxQuarantinePage || page.Next == "" {
		t.Fatalf("%d items, next %q, %v", len(page.Items), page.Next, err)
	}
	b, err := json.Marshal(page)
	if err != nil || len(b) > 8<<20 {
		t.Errorf("a page is %d bytes of JSON, %v", len(b), err)
	}
	if item := page.Items[0]; !item.Cut() || item.ContentBytes != 64<<10+1 {
		t.Errorf("an item is cut: %t, of %d bytes", item.Cut(), item.ContentBytes)
	}
}

// A cut does not make half a character another one.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		content string
		whole   int64
		want    string
	}{
		{"", 0, ""}, {"é", 2, "é"}, {"é", 3, "é"}, {"x\xc3", 3, "x"}, {"x\xc3", 2, "x\uFFFD"}, {"x\xf0\x9f\x98", 9, "x"}, {"\xff", 9, "\uFFFD"}, {"\x80\x80\x80\x80\x80", 9, "\uFFFD"},
	} {
		if got := text([]byte(tt.content), tt.whole); got != tt.want {
			t.Errorf("the first bytes %q of %d are %q, want %q", tt.content, tt.whole, got, tt.want)
		}
	}
}

func TestWrongRequest(t *testing.T) {
	s := filled(t)
	far := encode(store.QuarantinePosition{ReceivedAt: latest.Add(time.Hour)})
	for _, r := range []Request{
		{Cursor: "x"}, {Cursor: far}, {Cursor: encode(store.QuarantinePosition{ReceivedAt: now}) + "\n"}, {Cursor: strings.Repeat("A", 23)},
		{Source: strings.Repeat("s", maxSource+1)},
	} {
		var wrong *query.FieldError
		if _, err := List(t.Context(), s, r); !errors.As(err, &wrong) {
			t.Errorf("%+v: %v, want an error of a field", r, err)
		}
	}
	for _, r := range []Request{{Cursor: encode(store.QuarantinePosition{ReceivedAt: latest, Seq: -1})}, {Cursor: encode(store.QuarantinePosition{ReceivedAt: earliest})}, {Source: strings.Repeat("s", maxSource)}} {
		if _, err := List(context.Background(), s, r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// What a cursor may hold, every store can be asked for.
func FuzzCursor(f *testing.F) {
	f.Add(encode(store.QuarantinePosition{ReceivedAt: now, Seq: 7}))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decode(s)
		if err == nil && (encode(p) != s || p.ReceivedAt.Year() < 1 || p.ReceivedAt.Year() > 9999) {
			t.Errorf("%q is %+v, which is %q", s, p, encode(p))
		}
	})
}
