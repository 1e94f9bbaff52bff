package dashboard_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

var (
	relatedNav  = regexp.MustCompile(`(?s)<nav class="related".*?</nav>`)
	relatedLink = regexp.MustCompile(`<a href="([^"]+)">([^<]+)<`)
)

// relatedOf returns the links to related events of a page, by their label.
func relatedOf(page string) map[string]string {
	out := map[string]string{}
	for _, m := range relatedLink.FindAllStringSubmatch(relatedNav.FindString(page), -1) {
		out[m[2]] = html.UnescapeString(m[1])
	}
	return out
}

// at returns a browser of a user at a server over a store with these events.
func at(t *testing.T, user string, events ...audit.Event) *webtest.Browser {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{Retention: 100 * 24 * time.Hour})
	for i := range events {
		if events[i].ID == (audit.ID{}) {
			_, _ = rand.Read(events[i].ID[:])
		}
		if events[i].Raw == nil {
			events[i].Raw = []byte("{}")
		}
		events[i].RawSHA256 = sha256.Sum256(events[i].Raw)
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: events}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(world.Handler(t, s, false))
	t.Cleanup(server.Close)
	b := world.NewBrowser(t)
	b.Base = server.URL
	b.Login(t, world.Tokens[user], "")
	return b
}

func someEvent(age time.Duration) audit.Event {
	when := time.Now().UTC().Add(-age).Truncate(time.Microsecond)
	return audit.Event{
		Source: "s", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, OccurredAt: when, StageAt: when,
		Actor: "alice", Method: "DELETE", Verb: "delete", Action: "application.delete", ResourceType: "application",
		Namespace: "shop", Resource: "deployments", ResourceName: "checkout", Path: "/apis/apps/v1/namespaces/shop/deployments/checkout",
		StatusCode: 200, IPs: []netip.Addr{netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("192.0.2.7")},
	}
}

// What nobody knows to be a dry run is not called one.
func TestDryRunIsShown(t *testing.T) {
	for dryRun, want := range map[audit.DryRun][2]int{
		audit.DryRunFalse: {0, 0}, audit.DryRunUnknown: {0, 0}, audit.DryRunTrue: {1, 1},
	} {
		e := someEvent(time.Minute)
		e.DryRun, e.ID = dryRun, audit.ID{7}
		b := at(t, everywhere, e)
		list, event := b.Get(t, "/security/audit-logs"), b.Get(t, "/security/audit-logs/events/"+e.ID.String())
		got := [2]int{strings.Count(list.Body, "<small>dry run</small>"), strings.Count(event.Body, ", dry run")}
		if got != want || !strings.Contains(event.Body, dryRun.String()) {
			t.Errorf("%s: the list and the event's page say so %v times, want %v", dryRun, got, want)
		}
	}
}

// The links to related events are plain addresses that find the event itself,
// within the reader's namespaces.
func TestRelatedEvents(t *testing.T) {
	recent, weeks, months := someEvent(time.Minute), someEvent(14*24*time.Hour), someEvent(60*24*time.Hour)
	starred, node := someEvent(time.Minute), someEvent(time.Minute)
	starred.Actor, starred.ResourceName, starred.UserAgent, starred.AuditID = "system:*", "check*", "kubectl/v1.34", "*"
	node.Namespace, node.ResourceName, node.IPs = "", "node-1", nil
	day := func(e audit.Event) string {
		return "&from=" + url.QueryEscape(e.OccurredAt.Add(-24*time.Hour).Format(time.RFC3339Nano)) + "&to=" + url.QueryEscape(e.OccurredAt.Add(24*time.Hour).Format(time.RFC3339Nano))
	}
	around := func(e audit.Event) string {
		return "from=" + url.QueryEscape(e.OccurredAt.Add(-5*time.Minute).Format(time.RFC3339Nano)) + "&to=" + url.QueryEscape(e.OccurredAt.Add(5*time.Minute).Format(time.RFC3339Nano))
	}
	const list = "/security/audit-logs?"
	for name, tt := range map[string]struct {
		user, at string
		of       audit.Event
		want     map[string]string
	}{
		"with all rights": {everywhere, "", recent, map[string]string{
			"Same actor": list + "actor=alice", "Same IP address": list + "ip=192.0.2.7", "Around this time": list + around(recent),
			"Same kind of resource": list + "resource=%3Ddeployments",
			"Same resource":         list + "resource_type=application&resource_name=checkout&cluster=own&namespace=shop",
		}},
		"in a namespace": {inShop, "?namespace=shop", recent, map[string]string{
			"Same actor": list + "actor=alice&namespace=shop", "Same IP address": list + "ip=192.0.2.7&namespace=shop", "Around this time": list + "namespace=shop&" + around(recent),
			"Same kind of resource": list + "namespace=shop&resource=%3Ddeployments",
			"Same resource":         list + "resource_type=application&resource_name=checkout&namespace=shop",
		}},
		"of weeks ago": {everywhere, "", weeks, map[string]string{
			"Same actor": list + "actor=alice&range=last_30_days", "Same IP address": list + "ip=192.0.2.7&range=last_30_days", "Around this time": list + around(weeks),
			"Same kind of resource": list + "resource=%3Ddeployments&range=last_30_days",
			"Same resource":         list + "resource_type=application&resource_name=checkout&cluster=own&namespace=shop&range=last_30_days",
		}},
		"of months ago": {everywhere, "", months, map[string]string{
			"Same actor": list + "actor=alice" + day(months), "Same IP address": list + "ip=192.0.2.7" + day(months), "Around this time": list + around(months),
			"Same kind of resource": list + "resource=%3Ddeployments" + day(months),
			"Same resource":         list + "resource_type=application&resource_name=checkout&cluster=own&namespace=shop" + day(months),
		}},
		"with names that would match more": {everywhere, "", starred, map[string]string{
			"Same actor": list + "actor=%3Dsystem%3A%2A", "Same resource": list + "resource_type=application&resource_name=%3Dcheck%2A&cluster=own&namespace=shop",
			"Same IP address": list + "ip=192.0.2.7", "Around this time": list + around(starred),
			"Same kind of resource": list + "resource=%3Ddeployments", "Same user agent": list + "user_agent=%3Dkubectl%2Fv1.34", "Same audit ID": list + "audit_id=%3D%2A",
		}},
		"without a namespace": {everywhere, "", node, map[string]string{
			"Same actor": list + "actor=alice", "Around this time": list + around(node),
			"Same kind of resource": list + "resource=%3Ddeployments",
			"Same resource":         list + "resource_type=application&resource_name=node-1&cluster=own&namespace=-",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _ = rand.Read(tt.of.ID[:])
			b := at(t, tt.user, tt.of)
			page := b.Get(t, "/security/audit-logs/events/"+tt.of.ID.String()+tt.at)
			got := relatedOf(page.Body)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("links (-want +got):\n%s", diff)
			}
			for label, link := range got {
				if found := b.Get(t, link); found.Status != http.StatusOK || !strings.Contains(found.Body, html.EscapeString(tt.of.Action)) {
					t.Errorf("%s leads to %s, which answers %d without the event", label, link, found.Status)
				}
			}
		})
	}
}

// The raw event is what its digest covers, byte for byte.
func TestRawEvent(t *testing.T) {
	e := someEvent(time.Minute)
	e.Raw = []byte(`{"b":1, "a":"<script>alert(1)</script>"}`)
	_, _ = rand.Read(e.ID[:])
	b := at(t, inShop, e)
	got := b.Get(t, "/security/audit-logs/events/"+e.ID.String()+"/raw?namespace=shop")
	sum := sha256.Sum256(e.Raw)
	if got.Status != http.StatusOK || got.Body != string(e.Raw) || got.Header.Get("Content-Type") != "application/json" ||
		got.Header.Get("Content-Disposition") != `attachment; filename="audit-event-`+e.ID.String()+`.json"` ||
		got.Header.Get("Repr-Digest") != "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":" {
		t.Errorf("%d %v %q", got.Status, got.Header, got.Body)
	}
	if got := b.Get(t, "/security/audit-logs/events/"+strings.Repeat("0", 32)+"/raw"); got.Status != http.StatusNotFound {
		t.Errorf("what is not there answers %d", got.Status)
	}
}

var shownJSON = regexp.MustCompile(`(?s)<pre class="code json"[^>]*>(.*?)</pre>`)

// The JSON that a page shows means what was received, coloured or not, and
// shows what could hide in it.
func TestEventSource(t *testing.T) {
	hostile := `</pre><script>alert(1)</script>` + "\u202eTURNED\u202c \u200b\U000e0041 \\\" { } [ ] : , \u2028 \u0085 end\\"
	raw, err := json.Marshal(map[string]any{hostile: []any{hostile, -1.5e3, true, nil, map[string]any{}}, "a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	e := someEvent(time.Minute)
	e.Raw = raw
	_, _ = rand.Read(e.ID[:])
	page := at(t, everywhere, e).Get(t, "/security/audit-logs/events/"+e.ID.String()).Body
	m := shownJSON.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page shows no JSON")
	}
	text := html.UnescapeString(spans.ReplaceAllString(m[1], ""))
	var want, got any
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("what is shown is not JSON: %v\n%s", err, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received and shown differ:\n%s", diff)
	}
	if strings.ContainsAny(text, "\u202e\u202c\u200b\u2028\u0085\U000e0041") {
		t.Errorf("what can't be seen is not escaped: %q", text)
	}
	for _, want := range []string{`<span class="k">&#34;a&#34;</span>: <span class="s">&#34;b&#34;</span>`, `<span class="n">-1500</span>`, `<span class="l">true</span>`} {
		if !strings.Contains(m[1], want) {
			t.Errorf("lacks %s in %s", want, m[1])
		}
	}
}

// A large event is shown in part, and says where the rest is.
func TestLargeEvent(t *testing.T) {
	e := someEvent(time.Minute)
	raw, err := json.Marshal(map[string]string{"annotations": strings.Repeat("ä", 200<<10)})
	if err != nil {
		t.Fatal(err)
	}
	e.Raw = raw
	_, _ = rand.Read(e.ID[:])
	page := at(t, everywhere, e).Get(t, "/security/audit-logs/events/"+e.ID.String()).Body
	if len(page) > 200<<10 || strings.ContainsRune(page, '\uFFFD') {
		t.Errorf("the page has %d bytes", len(page))
	}
	for _, want := range []string{"the beginning of 409,618 bytes", `data-copy-url="/security/audit-logs/events/` + e.ID.String() + `/raw"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// The drawer alone is what htmx fetches. It leads back to the list that it is
// fetched for, and nowhere else.
func TestDrawerFragment(t *testing.T) {
	e := world.Events["shop-app"]
	fragment := func(b *webtest.Browser, path, current string) webtest.Answer {
		t.Helper()
		return b.Do(t, http.MethodGet, path, nil, http.Header{"Hx-Request": {"true"}, "Hx-Target": {"drawer"}, "Hx-Current-Url": {current}})
	}
	path := "/security/audit-logs/events/" + e.ID.String()
	close := regexp.MustCompile(`href="([^"]*)" data-drawer-close`)
	for current, want := range map[string]string{
		"http://h/security/audit-logs?actor=a%26b&cursor=x&event=old&live=1": "/security/audit-logs?actor=a%26b&cursor=x&live=1",
		"http://h/security/audit-logs?%65vent=old":                           "/security/audit-logs",
		"http://h/security/audit-logs?search=%22%3E%3Cscript%3E":             "/security/audit-logs?search=%22%3E%3Cscript%3E",
		"http://h/security/audit-logs?range=nonsense":                        "/security/audit-logs?range=nonsense",
		"http://h/security/audit-logs?namespace=shop&range=last_30_days":     "/security/audit-logs?namespace=shop&range=last_30_days",
		"https://evil.example/elsewhere?a=b":                                 "/security/audit-logs",
		"javascript:alert(1)":                                                "/security/audit-logs",
		"":                                                                   "/security/audit-logs",
		"::":                                                                 "/security/audit-logs",
	} {
		got := fragment(world.As(t, everywhere), path, current)
		m := close.FindStringSubmatch(got.Body)
		if got.Status != http.StatusOK || m == nil || html.UnescapeString(m[1]) != want {
			t.Errorf("from %q: %d, closes to %v, want %q", current, got.Status, m, want)
		}
		if strings.Contains(got.Body, "<html") || strings.Contains(got.Body, "<script") || !strings.Contains(got.Body, "own-shop-app") {
			t.Errorf("from %q: the fragment is %s", current, got.Body)
		}
	}
	got := fragment(world.As(t, everywhere), path, "http://h/security/audit-logs?namespace=shop&range=last_30_days")
	if want := "/security/audit-logs?actor=alice&namespace=shop&range=last_30_days"; relatedOf(got.Body)["Same actor"] != want {
		t.Errorf("same actor leads to %v, want %s", relatedOf(got.Body), want)
	}
	for name, a := range map[string]webtest.Answer{
		"unknown":   fragment(world.As(t, everywhere), "/security/audit-logs/events/"+strings.Repeat("0", 32), ""),
		"no ID":     fragment(world.As(t, everywhere), "/security/audit-logs/events/x", ""),
		"another's": fragment(world.As(t, inShop), "/security/audit-logs/events/"+world.Events["billing"].ID.String(), ""),
		"refused":   fragment(world.As(t, inShop), path+"?namespace=billing", ""),
		"no rights": fragment(world.As(t, nobody), path, ""),
	} {
		if a.Status != http.StatusNotFound || !strings.Contains(a.Body, "nothing that you may see") || len(shown(a.Body)) > 0 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

// Every related link reads as the filter that it was made of.
func TestRelatedLinksAreFilters(t *testing.T) {
	e := someEvent(time.Minute)
	e.Actor, e.ResourceName = webtest.Hostile, "a&b=c d+e%"
	_, _ = rand.Read(e.ID[:])
	page := at(t, everywhere, e).Get(t, "/security/audit-logs/events/"+e.ID.String()).Body
	for label, link := range relatedOf(page) {
		address, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		f, err := query.ParseValues(address.Query())
		if err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		if label == "Same actor" && !cmp.Equal(f.Actors, []string{webtest.Hostile}) || label == "Same resource" && !cmp.Equal(f.ResourceNames, []string{e.ResourceName}) {
			t.Errorf("%s is %+v", label, f)
		}
	}
}
