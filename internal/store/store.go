// Package store says what a store of audit events must do. Implementations
// live in packages below it and pass the suite of package storetest.
//
// Three rules hold for every implementation. Append returns after the commit
// is durable. Every read takes a query.Scope and adds it to every statement.
// Every answer comes from one read transaction.
//
// Text is kept as Text returns it, in events and in the terms of filters.
// Search folds both sides by the simple lower case of each character.
package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound means that the thing does not exist in the caller's scope;
	// what exists outside of it looks the same.
	ErrNotFound = errors.New("not found")
	// ErrOverloaded means that the store took nothing because it has too much
	// to do; the same call may be made again a few seconds later.
	ErrOverloaded = errors.New("store is overloaded")
	// ErrBusy means that a read was not made, or was ended, because there are too
	// many; the same call may be made again a few seconds later.
	ErrBusy = errors.New("too many reads at once")
	// ErrClosed means that the store took nothing because it is shutting down.
	ErrClosed = errors.New("store is closed")
	// ErrUnavailable means that the store can't write now (its volume is full,
	// its server is gone); nothing was taken.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrExists means that a snapshot of this ID was saved before; it is the
	// one to use.
	ErrExists = errors.New("already exists")
	// ErrPosition means that a TailRequest's After is nothing that Tail of this
	// store returned, or something that it returned too long ago to go on from.
	ErrPosition = errors.New("position: nothing to go on from; begin anew")
)

// Text returns s as stores keep and compare it: each run of invalid UTF-8, and
// each NUL, which not every database can hold, is U+FFFD.
func Text(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Visible returns the cluster and the namespaces that a limited scope sees, of
// those that can be a stored event's: what Text would change is none of them,
// though it might become one.
func Visible(scope query.Scope) (cluster string, namespaces []query.Namespace) {
	cluster, namespaces = scope.Limits()
	if Text(cluster) != cluster {
		return cluster, nil
	}
	return cluster, slices.DeleteFunc(namespaces, func(n query.Namespace) bool { return Text(n.Name) != n.Name })
}

// Younger returns those of the namespaces that were created after a time: those
// that may not see all of what occurred since.
func Younger(namespaces []query.Namespace, than time.Time) []query.Namespace {
	return slices.DeleteFunc(slices.Clone(namespaces), func(n query.Namespace) bool { return !n.Since.After(than) })
}

// InScope returns the part of a window that a scope may see something of. It is
// empty, with To no later than From, where there is none.
func InScope(scope query.Scope, w query.Window) query.Window {
	_, namespaces := Visible(scope)
	if scope.IsClusterWide() || len(namespaces) == 0 {
		return w
	}
	first := slices.MinFunc(namespaces, func(a, b query.Namespace) int { return a.Since.Compare(b.Since) }).Since
	if first.After(w.From) {
		w.From = first
	}
	return w
}

// NamesOf returns the names of namespaces.
func NamesOf(namespaces []query.Namespace) []string {
	names := make([]string, len(namespaces))
	for i, n := range namespaces {
		names[i] = n.Name
	}
	return names
}

// Batch is what one POST or one read of a log file delivered: the unit of commit.
type Batch struct {
	Source     string
	ReceivedAt time.Time
	// Events carry Raw and RawSHA256; the store sets the IngestedAt of what it
	// keeps, and keeps texts as Bounded has them. Append changes nothing here and holds nothing after it returned.
	Events      []audit.Event
	Quarantined []audit.Quarantined
}

// Appended says what became of a batch. Stored + Duplicate + Quarantined is
// the number of its items.
type Appended struct {
	Stored      int
	Duplicate   int // events that were stored before, in any retained day
	Quarantined int // the batch's own, and events outside of what is retained
}

// Writer takes events in.
type Writer interface {
	// Append stores a batch and returns after the commit is durable. Appending
	// an event again changes nothing. An event older than the retention, or
	// more than an hour ahead of the clock, is quarantined. On an error nothing
	// was acknowledged; the batch may be stored or not, and sending it again is
	// safe. Errors wrap ErrOverloaded, ErrUnavailable or ErrClosed where one
	// of them is the cause.
	Append(ctx context.Context, batch Batch) (Appended, error)
}

// Reader answers questions. Every method's answer is limited to the scope.
// Cancelling ctx ends the statement.
type Reader interface {
	// View answers the parts of a page from one read transaction.
	View(ctx context.Context, scope query.Scope, req ViewRequest) (View, error)
	// Facet counts the matching events by the values of one dimension,
	// ignoring the filter's own terms on that dimension.
	Facet(ctx context.Context, scope query.Scope, req FacetRequest) (Facet, error)
	// Event returns one event with its Raw, or ErrNotFound.
	Event(ctx context.Context, scope query.Scope, id audit.ID) (audit.Event, error)
	// SameRequest returns the other events with an event's audit ID: other
	// stages of its request, and the same request at other components. Clients
	// choose audit IDs, so this is a hint and no proof. No event shares an
	// empty audit ID with another.
	SameRequest(ctx context.Context, scope query.Scope, e *audit.Event) (SameRequest, error)
	// Capture reads a window's counts and its newest rows from one read
	// transaction, for a snapshot. It calls row once for each of the newest
	// Limit events, in ascending order of (OccurredAt, ID).
	Capture(ctx context.Context, scope query.Scope, req CaptureRequest, row func(*audit.Event) error) (Capture, error)
	// Tail returns events in the order of ingestion, as they come. Every event
	// that is committed after the first call of a sequence, each of which
	// passes the Next of the one before, is returned by one of the later calls,
	// once, however old it is and whoever committed it.
	Tail(ctx context.Context, scope query.Scope, req TailRequest) (Tail, error)
	// Sources returns what is known of each source that ever delivered, sorted
	// by name. It is for operators of the system: no event's content is in it.
	Sources(ctx context.Context) ([]SourceStats, error)
	// Skews returns, by source, how far the clocks of the sources are ahead that
	// delivered in the last SkewWindow, as far as is known; what is negative is
	// behind, or delivers late. It is for operators of the system.
	Skews(ctx context.Context) (map[string]time.Duration, error)
	// Quarantine returns a page of what could not become an event, the newest
	// first. It holds what every source sent and takes no scope: it is for those
	// alone who may see all of it.
	Quarantine(ctx context.Context, req QuarantineRequest) (QuarantinePage, error)
}

// SkewWindow is how long the skew of a source is remembered. The least in it
// counts, so that what comes late is not taken for a clock that is behind.
const SkewWindow = 10 * time.Minute

// MaxSkewAhead and MaxSkewBehind bound the skew of a source whose clock agrees
// with the operator's. A batch may wait, so a clock seems to be behind by more.
const (
	MaxSkewAhead  = 10 * time.Second
	MaxSkewBehind = 2 * time.Minute
)

// IsSkewed reports whether a clock that is ahead by so much is out of step.
func IsSkewed(ahead time.Duration) bool { return ahead > MaxSkewAhead || ahead < -MaxSkewBehind }

// ViewRequest says which parts of a page are wanted. Rows of a limit of 0 and
// a histogram of no width are not computed.
type ViewRequest struct {
	Filter query.Filter
	Window query.Window
	Limit  int             // rows, at most MaxPage
	Bytes  int             // of the rows, see Room; where they don't suffice there are fewer rows, and Next
	After  *query.Position // rows strictly older than this one; nil for the first page
	Count  bool            // the exact number of matches in the window
	// HistogramWidth is one of HistogramWidths; 0 for no histogram.
	HistogramWidth time.Duration
}

// MaxPage is the most rows that one View returns.
const MaxPage = 1000

// View is the answer to a ViewRequest.
type View struct {
	AsOf time.Time // when the read transaction began
	// Events are descending by (OccurredAt, ID), without Raw. They are fewer than
	// the limit before the last page where they would be too large together.
	Events []audit.Event
	// Next is where the next page starts; nil when there is none.
	Next      *query.Position
	Matched   int64    // with Count
	Histogram []Bucket // with HistogramWidth: ascending, without empty buckets
	// Quarantined counts what may be events of the window and the scope, and
	// could not become any: see QuarantineSpan.
	Quarantined int64
}

// Bucket counts the events of [Start, Start+width).
type Bucket struct {
	Start time.Time
	Count int64
}

// HistogramWidths are the widths that a histogram may have, ascending. Buckets
// start at multiples of the width since the Unix epoch.
var HistogramWidths = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// FacetRequest asks for the most frequent values of one dimension.
type FacetRequest struct {
	Filter    query.Filter
	Window    query.Window
	Dimension query.Dimension
	// Contains limits the values to those that hold it, folded as Search is;
	// blank for all.
	Contains string
	Limit    int // values, at most MaxPage
}

// Facet holds values by descending count, then ascending value: text by its
// bytes, addresses as netip.Addr.Compare has it, codes by number. Events that
// lack the field are not counted.
type Facet struct {
	AsOf        time.Time
	Values      []FacetValue
	Quarantined int64 // as View has it
}

// FacetValue is one value of a dimension with the number of matching events.
type FacetValue struct {
	Value string
	Count int64
}

// Bounds of a SameRequest. Every stage of a request bears the time at which it
// was received, and a component passes it on at once, so the span need only
// cover how far their clocks are apart.
const (
	MaxSameRequest  = 50
	SameRequestSpan = time.Hour
)

// SameRequestWindow is the time in which an event's request is looked for.
func SameRequestWindow(e *audit.Event) query.Window {
	return query.Window{From: e.OccurredAt.Add(-SameRequestSpan), To: e.OccurredAt.Add(SameRequestSpan)}
}

// SameRequest holds at most MaxSameRequest events without Raw: those nearest
// in time to the one that was asked about, then by ascending ID, so that many
// that borrow its audit ID can't push out what belongs to it. Together they are
// at most MaxAnswerBytes.
type SameRequest struct {
	Events []audit.Event
	More   bool // there are others
}

// CaptureRequest says what a snapshot captures.
type CaptureRequest struct {
	Filter query.Filter
	Window query.Window
	Limit  int // newest rows to keep; the counts are exact whatever it is
	// Begin, if it is set, hears the number of rows before the first of them.
	Begin func(rows int64)
}

// Capture is what a snapshot says about its rows.
type Capture struct {
	AsOf                time.Time
	Matched             int64
	CountsByType        map[string]int64 // by resource type
	CountsByStatusClass map[string]int64 // by "2xx" and the like; events without a status are not counted
	Quarantined         int64            // as View has it
}

// TailRequest asks for what was ingested since a call before.
type TailRequest struct {
	Filter query.Filter
	// Since leaves out events that occurred before it. In a sequence of calls
	// it may move on but not back: what an earlier call left out stays out.
	Since time.Time
	// After is the Next of the call before. Empty, it begins now: the answer
	// has no events, only Next.
	After string
	Limit int // events, at most MaxTail
}

// Tail is the answer to a TailRequest.
type Tail struct {
	AsOf   time.Time
	Events []audit.Event // in the order of ingestion, without Raw
	// Next is where the next call goes on, with this filter or another. It is
	// opaque and outlives the process. Neither it, which is another text each
	// time, nor its length tells what others have stored.
	Next string
	// More says that the next call need not wait: more is there already to be
	// looked at, of which the scope may cover nothing.
	More bool
}

// SourceStats is what a store has taken from a source since it first did.
type SourceStats struct {
	Source      string
	Received    int64 // items: Stored + Duplicate + Quarantined
	Stored      int64
	Duplicate   int64
	Quarantined int64
	// Own counts the stored events that the operator itself caused.
	Own            int64
	LastReceivedAt time.Time // of the last committed batch
	LastEventAt    time.Time // the newest StageAt that was stored; zero if none
}

// Store is all of it.
type Store interface {
	Writer
	Reader
	Snapshots
	Sessions
	// Retain drops whole days that ended before the cut, never today, and
	// returns the days that it dropped.
	Retain(ctx context.Context, before time.Time) ([]time.Time, error)
	// StoredDays returns the days that Retain could drop and those that it
	// could not, oldest first, with what they take as far as is known.
	StoredDays(ctx context.Context) ([]StoredDay, error)
	// JudgeClock returns nil, or why the operator's clock is in doubt.
	JudgeClock() error
	// Ready returns nil when a write would be durable now.
	Ready(ctx context.Context) error
	// Key is the secret under which is hashed what must not be guessed: made
	// once, with the store, and never shown.
	Key() audit.Key
	// Live returns nil unless only a new process can make the store ready again.
	Live() error
	// Close lets running calls finish, commits what was accepted and frees the
	// files. Calls that come later get ErrClosed.
	Close() error
}
