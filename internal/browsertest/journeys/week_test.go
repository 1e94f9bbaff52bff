package journeys

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
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

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"
	ci    = "system:serviceaccount:ci:deployer"
)

var resourceTypes = []string{"application", "datastore", "addon", "environment_group", "cluster", "project"}

// week is a store with an event every hour and a half, the newest a minute old,
// for ten days: 160, of which 112 are of the last seven. Reads are every fourth.
type week struct {
	store.Store
	events []audit.Event // newest first
}

func newWeek(t *testing.T) week {
	t.Helper()
	w := week{Store: embeddedtest.Open(t, embedded.Options{})}
	now := time.Now().UTC().Truncate(time.Second)
	for i := range 160 {
		w.events = append(w.events, weekEvent(i, now.Add(-time.Minute-time.Duration(i)*90*time.Minute)))
	}
	w.add(t, w.events...)
	return w
}

func (w week) add(t *testing.T, events ...audit.Event) {
	t.Helper()
	if _, err := w.Append(t.Context(), store.Batch{Source: "control-plane", ReceivedAt: time.Now(), Events: events}); err != nil {
		t.Fatal(err)
	}
}

// takeSnapshot takes one of the deletions in shop, at a time, for a query of a name.
func takeSnapshot(t testing.TB, s store.Store, name string, at time.Time) store.Manifest {
	t.Helper()
	m, err := snapshot.Take(t.Context(), s, snapshot.Request{
		ID: snapshot.LegacyID(name, 1, ""), Owner: store.Owner{Kind: "AuditLogQuery", Namespace: "shop", Name: name, UID: name},
		Scope: query.InNamespaces(webtest.OwnCluster, "shop"), Filter: query.Filter{Terms: query.Terms{Methods: []string{"DELETE"}, Namespaces: []string{"shop"}}},
		Limit: 1000, Now: at, Retention: 720 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func weekEvent(i int, at time.Time) audit.Event {
	methods, verbs := []string{"POST", "PATCH", "DELETE", "GET"}, []string{"create", "patch", "delete", "get"}
	resourceType := resourceTypes[i%len(resourceTypes)]
	e := audit.Event{
		Source: "control-plane", Cluster: webtest.OwnCluster, AuditID: fmt.Sprintf("audit-%d", i), Level: "Metadata", Stage: audit.StageResponseComplete,
		OccurredAt: at, StageAt: at, Actor: []string{alice, bob, ci}[i%3], ActorKind: audit.ActorUser, Client: audit.ClientOther,
		Method: methods[i%4], Verb: verbs[i%4], ResourceType: resourceType, Action: resourceType + "." + verbs[i%4],
		APIGroup: "apps", APIVersion: "v1", Resource: "deployments", Namespace: []string{"shop", "billing"}[i%2], ResourceName: fmt.Sprintf("thing-%d", i%40),
		StatusCode: 200, UserAgent: "kubectl/v1.37.0", Groups: []string{"developers", "system:authenticated"}, IPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 5)})},
	}
	if e.Actor == alice {
		e.Client = audit.ClientCLI
	}
	switch {
	case i%25 == 24:
		e.StatusCode = 500
	case i%10 == 9:
		e.StatusCode = 403
	}
	e.Path = "/apis/apps/v1/namespaces/" + e.Namespace + "/deployments/" + e.ResourceName
	e.Raw = fmt.Appendf(nil, `{"kind":"Event","auditID":%q,"user":{"username":%q}}`, e.AuditID, e.Actor)
	e.RawSHA256 = sha256.Sum256(e.Raw)
	e.ID[0], e.ID[1], e.ID[2] = 'w', byte(i>>8), byte(i)
	return e
}

// count returns how many events of some age are wanted.
func (w week) count(within time.Duration, wanted func(e *audit.Event) bool) int {
	n := 0
	for i := range w.events {
		if time.Since(w.events[i].OccurredAt) < within && wanted(&w.events[i]) {
			n++
		}
	}
	return n
}

const sevenDays = 7 * 24 * time.Hour

func written(e *audit.Event) bool { return e.Method != "GET" }

// at opens a tab that a user has signed in with, at an address.
func at(t *testing.T, s store.Store, user, address string, look browsertest.Look) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Serve(t, world.Handler(t, s, false), look)
	tab.SignIn(world.Tokens[user], address)
	return tab
}

// shows waits until the count says n, and checks that the table and the chart
// agree with it.
func shows(t *testing.T, tab *browsertest.Tab, n int) {
	t.Helper()
	tab.Await(fmt.Sprintf("the count to be %d", n), fmt.Sprintf(`document.readyState == "complete" && document.querySelector("#count strong")?.textContent == "%d"`, n))
	if rows := tab.Count("#rows > tr"); rows != min(n, 50) {
		t.Errorf("%d events are counted, and %d are in the table", n, rows)
	}
	if bars := browsertest.Eval[int](tab, sumOfBars); bars != n {
		t.Errorf("%d events are counted, and %d are in the chart", n, bars)
	}
}

const sumOfBars = `[...document.querySelectorAll("#chart .bars a")].reduce((n, a) => n + Number((a.dataset.count ?? a.querySelector("title").textContent.split(" ").pop()).replaceAll(",", "")), 0)`

// chips returns what is filtered for, as it reads.
func chips(tab *browsertest.Tab) string { return strings.Join(tab.Texts("#chips .chip"), " | ") }

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q: %s", what, part, text)
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
