package journeys

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// hostileEvent holds a text in every field that can hold one. Stage and method
// have few values; the text stands there in twins alone, which no list shows.
func hostileEvent(n int, text string, at time.Time) audit.Event {
	raw, err := json.Marshal(map[string]any{"kind": "Event", text: text, "user": map[string]any{"username": text, "extra": map[string][]string{text: {text, text}}}})
	if err != nil {
		panic(err) // it is made of texts
	}
	e := audit.Event{
		Source: text, Cluster: text, AuditID: text, Level: text, Stage: audit.StageResponseComplete, OccurredAt: at, StageAt: at,
		Actor: text, ActorKind: text, ActedVia: text, Groups: []string{text, text}, ActedViaGroups: []string{text}, CredentialID: text, Method: "POST", Verb: text, ResourceType: text, Action: text,
		APIGroup: text, APIVersion: text, Resource: text, Subresource: text, Namespace: text, ResourceName: text,
		Path: text, StatusCode: 200 + n, Client: text, UserAgent: text, Raw: raw,
		IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("fe80::1").WithZone(text)},
	}
	e.ID[0], e.ID[1], e.ID[15] = byte(n>>8), byte(n), 1
	return e
}

// hostile is a store of events with each of some texts in their fields, and of
// snapshots of all of that.
type hostile struct {
	store.Store
	events, twins []audit.Event
	snapshots     []store.Manifest
}

func newHostile(t *testing.T, texts []string) hostile {
	t.Helper()
	h := hostile{Store: embeddedtest.Open(t, embedded.Options{})}
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	for i, text := range texts {
		e := hostileEvent(i, text, at.Add(-time.Duration(i)*time.Second))
		h.events = append(h.events, e)
		e.Stage, e.Method, e.ID[15] = text, text, 2
		h.twins = append(h.twins, e)
	}
	batch := store.Batch{Source: "hostile", ReceivedAt: time.Now(), Events: append(append([]audit.Event{}, h.events...), h.twins...)}
	if _, err := h.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	// Of some, since each holds rows of all.
	for i := 0; i < len(texts); i += 5 {
		filter := query.Filter{Terms: query.Terms{Actors: []string{texts[i]}}}
		if i == 0 || filter.Validate() != nil {
			filter = query.Filter{}
		}
		text := store.Text(texts[i])
		m, err := snapshot.Take(t.Context(), h, snapshot.Request{
			ID: snapshot.LegacyID("hostile", int64(i), ""), Owner: store.Owner{Kind: text, Namespace: text, Name: text, UID: fmt.Sprint(i)},
			Scope: query.ClusterWide(), Filter: filter, Limit: 1000, Now: time.Now(), Retention: 720 * time.Hour,
		})
		if err != nil {
			t.Fatalf("snapshot of %.40q: %v", text, err)
		}
		h.snapshots = append(h.snapshots, m)
	}
	return h
}

// addresses are those in which a text stands wherever one can.
func addresses(text string) []string {
	text = text[:min(len(text), 1000)]
	q, segment := url.QueryEscape(text), strings.ReplaceAll(url.PathEscape(text), ".", "%2E")
	var every []string
	for _, parameter := range query.Parameters() {
		every = append(every, parameter+"="+q)
	}
	return []string{
		list + "?" + strings.Join(every, "&"), list + "?search=" + q, list + "?actor=" + q + "&event=" + q,
		list + "?" + q + "=" + q, list + "?range=" + q, list + "?cursor=" + q,
		list + "/values/actor?contains=" + q + "&namespace_exclude=" + q, list + "/values/" + segment,
		list + "/query?action=" + q + "&resource_name_exclude=" + q, list + "/tail?after=" + q + "&actor=" + q,
		events + segment, query.SnapshotsPath + segment, query.SnapshotsPath + "?cursor=" + q, "/" + segment, "/login?next=" + q,
	}
}

// What the server sends for each text in each field and each address has no
// element and no attribute that the text made.
func TestHostileMarkup(t *testing.T) {
	h := newHostile(t, browsertest.Hostile)
	b := world.NewBrowserOver(t, h)
	if got := b.Login(t, world.Tokens[webtest.Everywhere], ""); got.Status != http.StatusSeeOther {
		t.Fatalf("the log-in answered %d", got.Status)
	}
	look := func(path string) {
		t.Helper()
		answer := b.Get(t, path)
		if kind := answer.Header.Get("Content-Type"); answer.Status >= 500 || answer.Status == http.StatusOK && !strings.HasPrefix(kind, "text/html") {
			t.Errorf("%.100s answers %d with %s", path, answer.Status, kind)
		}
		for _, element := range browsertest.Injected(answer.Body) {
			t.Errorf("%.100s: a text became %.200s", path, element)
		}
	}
	for i := range h.events {
		look(events + h.events[i].ID.String())
		look(events + h.twins[i].ID.String())
		look(list + "?event=" + h.events[i].ID.String())
	}
	for _, m := range h.snapshots {
		look(query.SnapshotsPath + m.ID)
	}
	for _, text := range browsertest.Hostile {
		for _, address := range addresses(text) {
			look(address)
		}
	}
}
