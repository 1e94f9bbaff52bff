package dashboard_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

const heldPath = "/security/quarantine"

// heldStore is a store with items in quarantine, the worst that there are.
func heldStore(t *testing.T) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	items := []audit.Quarantined{
		{Source: "edge", Cluster: "prod-eu", Reason: "not JSON after 3 complete items; those were taken", Size: 1, Hash: [32]byte{1}},
		{Source: "edge", Reason: webtest.Hostile, Size: 1 << 40, Redacted: []byte(webtest.Hostile)},
	}
	for i := range 60 {
		items = append(items, audit.Quarantined{
			Source: "control-plane-1", Cluster: "prod-eu", Reason: fmt.Sprintf("requestReceivedTimestamp: %d is no time", i), Size: 100000, Hash: [32]byte{byte(i)},
			Redacted: bytes.Repeat([]byte("\x01\""), 50000),
		})
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "edge", ReceivedAt: time.Now().Add(-time.Minute), Quarantined: items}); err != nil {
		t.Fatal(err)
	}
	return s
}

// The page shows what is in quarantine, page by page and by source, to those
// alone who have the right to it.
func TestQuarantine(t *testing.T) {
	b := world.NewBrowserOver(t, heldStore(t))
	for _, user := range []string{everywhere, inShop, nobody} {
		b.Login(t, world.Tokens[user], "")
		if answer := b.Get(t, heldPath); answer.Status != http.StatusForbidden || strings.Contains(answer.Body, "control-plane-1") || !strings.Contains(answer.Body, "auditsources/quarantine") {
			t.Errorf("%s: status %d: %s", user, answer.Status, answer.Body)
		}
	}
	b.Login(t, world.Tokens[webtest.Quarantine], "")
	if answer := b.Get(t, listPath); answer.Status != http.StatusForbidden {
		t.Errorf("the list answers %d to who may see the quarantine alone", answer.Status)
	}
	seen := 0
	for path := heldPath; path != ""; {
		answer := b.Get(t, path)
		if answer.Status != http.StatusOK || len(answer.Body) > 2<<20 {
			t.Fatalf("%s: status %d, %d bytes", path, answer.Status, len(answer.Body))
		}
		if n := strings.Count(answer.Body, `aria-label="Pages"`); n != 1 {
			t.Errorf("%s has %d landmarks of one name", path, n)
		}
		seen += strings.Count(answer.Body, `<p class="reason">`)
		path = nextOf(answer.Body)
	}
	if seen != 62 {
		t.Errorf("the pages show %d items, want 62", seen)
	}
	answer := b.Get(t, heldPath+"?source=edge")
	for _, want := range []string{"not JSON after 3 complete items", "1,099,511,627,776 bytes", "&lt;script&gt;", `\u202e`, `\u001b[31m`} {
		if !strings.Contains(answer.Body, want) {
			t.Errorf("the page of a source lacks %q", want)
		}
	}
	if strings.Contains(answer.Body, "control-plane-1") || strings.Contains(answer.Body, "<script>alert") {
		t.Errorf("the page of a source shows %s", answer.Body)
	}
	for _, wrong := range []string{"?cursor=x", "?source=a&source=b", "?colour=red", "?source=" + strings.Repeat("s", 254)} {
		if answer := b.Get(t, heldPath+wrong); answer.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", wrong, answer.Status)
		}
	}
}

// Every page leads to the quarantine: those of events and snapshots whoever may
// see everything, those of problems whoever has the right to it. Others are not
// told of it.
func TestQuarantineLink(t *testing.T) {
	const link = `<a href="` + heldPath + `">Quarantine</a>`
	s := heldStore(t)
	m := world.Snapshots[""]
	if err := s.SaveSnapshot(t.Context(), m.ID, store.SnapshotSpace{}, func(w io.Writer) (store.Manifest, error) {
		_, err := io.WriteString(w, "{}\n")
		return m, err
	}); err != nil {
		t.Fatal(err)
	}
	e := someEvent(time.Minute)
	if _, err := s.Append(t.Context(), store.Batch{Source: e.Source, ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	b := world.NewBrowserOver(t, s)
	for _, tt := range []struct {
		user, path string
		status     int
		offered    bool
	}{
		{everywhere, listPath, 200, true},
		{everywhere, listPath + "/events/" + e.ID.String(), 200, true},
		{everywhere, listPath + "/query", 200, true},
		{everywhere, listPath + "/values/actor", 200, true},
		{everywhere, "/security/snapshots", 200, true},
		{everywhere, "/security/snapshots/" + m.ID, 200, true},
		{everywhere, listPath + "?colour=red", 400, false}, // has no right to it
		{inShop, listPath, 200, false},
		{inShop, listPath + "?colour=red", 400, false},
		{webtest.Quarantine, listPath, 403, true},
		{webtest.Quarantine, listPath + "?colour=red", 400, true},
		{webtest.Quarantine, "/security/snapshots/" + m.ID, 404, true},
	} {
		b.Login(t, world.Tokens[tt.user], "")
		if got := b.Get(t, tt.path); got.Status != tt.status || strings.Contains(got.Body, link) != tt.offered {
			t.Errorf("%s at %s: status %d, want %d and the link to be there %t", tt.user, tt.path, got.Status, tt.status, tt.offered)
		}
	}
}

// The list says that it may lack something, and why, whoever reads it.
func TestListSaysQuarantined(t *testing.T) {
	b := world.NewBrowserOver(t, heldStore(t))
	b.Login(t, world.Tokens[everywhere], "")
	if answer := b.Get(t, listPath+"?range=last_hour"); !strings.Contains(answer.Body, "Incomplete") || !strings.Contains(answer.Body, "in quarantine") {
		t.Errorf("the list of that time says %s", answer.Body)
	}
	if answer := b.Get(t, listPath+"?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"); strings.Contains(answer.Body, "in quarantine") {
		t.Errorf("the list of another time says %s", answer.Body)
	}
}

var nextLink = regexp.MustCompile(`href="([^"]+)" rel="next"`)

// nextOf returns the address of the next page, if there is one.
func nextOf(body string) string {
	m := nextLink.FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}
