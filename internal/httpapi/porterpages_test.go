package httpapi_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// Pages by number are those that cursors lead through, and end where these do.
func TestPorterPagesByNumber(t *testing.T) {
	p := newPrograms(t)
	whole := decode[entries](t, p.query(t, everywhere, "-", `{}`))
	next := ""
	for page := 1; page <= 4; page++ {
		answer := decode[entries](t, p.query(t, everywhere, "-", fmt.Sprintf(`{"limit": 3, "page": %d}`, page)))
		want := whole.Entries[min(3*(page-1), len(whole.Entries)):min(3*page, len(whole.Entries))]
		if diff := cmp.Diff(want, answer.Entries, cmpopts.EquateEmpty()); diff != "" || (answer.NextCursor != "") != (3*page < len(whole.Entries)) {
			t.Errorf("page %d goes on at %q: %s", page, answer.NextCursor, diff)
		}
		if page == 1 {
			next = answer.NextCursor
		}
	}
	byCursor := decode[entries](t, p.query(t, everywhere, "-", `{"limit": 3, "cursor": "`+next+`"}`))
	if diff := cmp.Diff(whole.Entries[3:6], byCursor.Entries); diff != "" {
		t.Errorf("the cursor of a page by number leads elsewhere: %s", diff)
	}
	// The last one that may be asked for.
	for _, body := range []string{`{"page": 100}`, `{"limit": 1000, "page": 10}`, `{"limit": 1, "page": 10000}`} {
		if answer := decode[entries](t, p.query(t, everywhere, "-", body)); len(answer.Entries) > 0 || answer.NextCursor != "" {
			t.Errorf("%s: %+v", body, answer)
		}
	}
}

// maxReads is how often a page by number may ask the store.
const maxReads = 11

// counting counts the pages that are read.
type counting struct {
	dashboard.Store
	views atomic.Int64
}

func (c *counting) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	c.views.Add(1)
	return c.Store.View(ctx, scope, req)
}

// The last page that a number reaches is found over many entries, by few reads.
func TestPorterLastPage(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	if _, err := events.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: many(10_050)}); err != nil {
		t.Fatal(err)
	}
	counted := &counting{Store: events}
	p := programsOver(t, counted, events)
	began := time.Now()
	answer := decode[entries](t, p.query(t, everywhere, "-", `{"limit": 1000, "page": 10}`))
	t.Logf("the last page took %s and %d reads", time.Since(began), counted.views.Load())
	if n := len(answer.Entries); n != 1000 || answer.NextCursor == "" || counted.views.Load() > maxReads {
		t.Fatalf("%d entries, next %q, %d reads", n, answer.NextCursor, counted.views.Load())
	}
	if first, last := answer.Entries[0].Path, answer.Entries[999].Path; first != "/9000" || last != "/9999" {
		t.Errorf("it is from %s to %s", first, last)
	}
	counted.views.Store(0)
	wantProblem(t, p.query(t, everywhere, "-", `{"limit": 1000, "page": 1000000}`), http.StatusBadRequest, "invalid")
	if n := counted.views.Load(); n != 0 {
		t.Errorf("a page beyond the bound costs %d reads", n)
	}
}

// many returns n events, the newest first, whose paths are their numbers.
func many(n int) []audit.Event {
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	out := make([]audit.Event, n)
	for i := range out {
		e := &out[i]
		e.Source, e.Stage, e.Method, e.Path, e.Raw = "s", audit.StageResponseComplete, "GET", fmt.Sprint("/", i), []byte("{}")
		e.OccurredAt, e.StageAt = at.Add(-time.Duration(i)*time.Millisecond), at
		binary.BigEndian.PutUint64(e.ID[:], uint64(i))
	}
	return out
}

// Entries say what they are as Porter's do: programs are tokens, and only the
// command line is a source.
func TestPorterEntries(t *testing.T) {
	events := embeddedtest.Open(t, embedded.Options{})
	made := many(len(audit.ActorKinds) + 1)
	for i := range made {
		made[i].Client = audit.Clients[i%len(audit.Clients)]
		if i < len(audit.ActorKinds) {
			made[i].ActorKind = audit.ActorKinds[i]
		}
	}
	if _, err := events.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: made}); err != nil {
		t.Fatal(err)
	}
	p := programsOver(t, events, events)
	var got [][2]string
	for _, e := range decode[entries](t, p.query(t, everywhere, "-", `{}`)).Entries {
		got = append(got, [2]string{e.ActorType, e.Source})
	}
	want := [][2]string{{"user", "cli"}, {"api_token", ""}, {"api_token", ""}, {"api_token", ""}, {"user", ""}, {"user", "cli"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A filter finds the entries that say so.
	for body, n := range map[string]int{`{"actor_type": "user"}`: 3, `{"actor_type": "api_token"}`: 3, `{"source": "cli"}`: 2, `{"source": "cli", "actor_type": "api_token"}`: 0} {
		if found := decode[entries](t, p.query(t, everywhere, "-", body)).Entries; len(found) != n {
			t.Errorf("%s finds %d entries, want %d", body, len(found), n)
		}
	}
}
