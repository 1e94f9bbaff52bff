// Package quarantine lists what could not become an event, for those who may see
// all of it: programs, pages and commands say the same.
//
// A list is bounded in bytes whatever sources send: a page holds at most
// store.MaxQuarantinePage items, each with the beginning of its content.
package quarantine

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Parameters of a list, as addresses and flags name them.
const (
	SourceParameter = "source"
	CursorParameter = "cursor"
)

// maxSource is the longest name of an object of Kubernetes.
const maxSource = 253

// Store is what has a quarantine.
type Store interface {
	Quarantine(ctx context.Context, req store.QuarantineRequest) (store.QuarantinePage, error)
}

// Request asks for a page, the newest first.
type Request struct {
	Source string // items of this source; empty for all
	Cursor string // the Next of the page before; empty for the first
	Limit  int    // items, from 1 to store.MaxQuarantinePage
}

// Item is what could not become an event. What its source sent is in Content
// alone, without secrets.
type Item struct {
	Source     string    `json:"source"`
	Cluster    string    `json:"cluster,omitzero"`
	ReceivedAt time.Time `json:"receivedAt"`
	Reason     string    `json:"reason"`
	Size       int64     `json:"size"`          // of the item as received, in bytes
	Hash       string    `json:"hash,omitzero"` // that tells items apart, in hexadecimal digits
	// Content is what is left of the item, or its beginning; none of what was not
	// JSON, or was too large to be kept.
	Content      string `json:"content,omitzero"`
	ContentBytes int64  `json:"contentBytes"` // of all of it
}

// Cut reports whether there is more of the content.
func (i *Item) Cut() bool { return i.ContentBytes > store.MaxQuarantineContent }

// Page is a page of the list.
type Page struct {
	Items []Item    `json:"items"`
	AsOf  time.Time `json:"asOf"`
	Next  string    `json:"next,omitzero"` // the cursor of the next page; absent on the last one
}

// List returns a page. Its error is a *query.FieldError where the request is
// wrong, else the store's.
func List(ctx context.Context, s Store, r Request) (Page, error) {
	if len(r.Source) > maxSource {
		return Page{}, &query.FieldError{Field: SourceParameter, Value: query.Shorten(r.Source), Problem: "is no source's name, which has at most 253 characters"}
	}
	req := store.QuarantineRequest{Source: r.Source, Limit: r.Limit}
	if r.Cursor != "" {
		before, err := decode(r.Cursor)
		if err != nil {
			return Page{}, err
		}
		req.Before = &before
	}
	found, err := s.Quarantine(ctx, req)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: make([]Item, len(found.Items)), AsOf: found.AsOf.UTC()}
	for i := range found.Items {
		page.Items[i] = newItem(&found.Items[i])
	}
	if found.Next != nil {
		page.Next = encode(*found.Next)
	}
	return page, nil
}

func newItem(q *store.QuarantineItem) Item {
	item := Item{
		Source: q.Source, Cluster: q.Cluster, ReceivedAt: q.ReceivedAt.UTC(), Reason: q.Reason, Size: q.Size, ContentBytes: q.ContentBytes,
		Content: text(q.Redacted, q.ContentBytes),
	}
	if q.Hash != [32]byte{} {
		item.Hash = hex.EncodeToString(q.Hash[:])
	}
	return item
}

// text returns content as text, without the part of a character that it was cut in.
func text(content []byte, whole int64) string {
	if int64(len(content)) < whole {
		for i := 1; i <= utf8.UTFMax && i <= len(content); i++ {
			if at := len(content) - i; utf8.RuneStart(content[at]) {
				if !utf8.FullRune(content[at:]) {
					content = content[:at]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(string(content), "\uFFFD")
}

const (
	cursorVersion = 1
	cursorLength  = 1 + 8 + 8
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// encode writes a position as a cursor. It holds no right.
func encode(p store.QuarantinePosition) string {
	b := binary.BigEndian.AppendUint64([]byte{cursorVersion}, uint64(p.ReceivedAt.UnixMicro()))
	return cursorEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(p.Seq)))
}

// The times that a cursor may hold, which every store can.
var (
	earliest = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

func decode(s string) (store.QuarantinePosition, error) {
	stray := &query.FieldError{Field: CursorParameter, Problem: "is none that this list gave; begin with the first page"}
	// The decoder passes over line breaks, which no cursor has.
	b, err := cursorEncoding.DecodeString(s)
	if err != nil || len(s) != cursorEncoding.EncodedLen(cursorLength) || len(b) != cursorLength || b[0] != cursorVersion {
		return store.QuarantinePosition{}, stray
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(b[1:]))).UTC()
	if at.Before(earliest) || at.After(latest) {
		return store.QuarantinePosition{}, stray
	}
	return store.QuarantinePosition{ReceivedAt: at, Seq: int64(binary.BigEndian.Uint64(b[9:]))}, nil
}
