package dashboard_test

import (
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

func TestSaveQueryPage(t *testing.T) {
	const path = "/security/audit-logs/query?"
	for _, tt := range []struct {
		user, filter string
		status       int
		says         []string
	}{
		{everywhere, "method_exclude=GET", 200, []string{"kind: ClusterAuditLogQuery", "may read every event", "kubectl apply -f -", "name: audit-query"}},
		{everywhere, "namespace=shop&name=deletes", 200, []string{"kind: AuditLogQuery", "namespace: shop", "name: deletes", "every cluster"}},
		{inShop, "", 200, []string{"kind: AuditLogQuery", "namespace: shop"}},
		{webtest.InShopAndBills, "", 200, []string{"namespace: shop", "namespace: billing", "---", "one query for each"}},
		{inShop, "namespace=billing", 403, []string{"Show this namespace"}},
		{nobody, "", 403, []string{"How to get rights"}},
		{everywhere, "name=A%20B", 400, []string{"name of an object", "Nothing is written"}},
		{everywhere, "cluster=A%20B", 200, []string{"kind: ClusterAuditLogQuery", "- =A B"}},
		{inShop, "cluster=own", 400, []string{"cluster: &#34;own&#34; can&#39;t be a part of an AuditLogQuery", "remove it from the view", "Nothing is written"}},
		{everywhere, "namespace=shop&cluster=own", 200, []string{"kind: ClusterAuditLogQuery", "clusters:"}},
		{everywhere, "nonsense=1", 400, []string{"is no filter"}},
		{everywhere, "format=json", 400, []string{"is no filter"}},
		{everywhere, "search=" + url.QueryEscape(webtest.Hostile), 200, []string{"&lt;script&gt;"}},
	} {
		got := world.As(t, tt.user).Get(t, path+tt.filter)
		if got.Status != tt.status || strings.Contains(got.Body, "<script>") {
			t.Errorf("%s %q: status %d, want %d", tt.user, tt.filter, got.Status, tt.status)
		}
		for _, want := range tt.says {
			if !strings.Contains(got.Body, want) {
				t.Errorf("%s %q: the page lacks %q", tt.user, tt.filter, want)
			}
		}
		if tt.user != everywhere && strings.Contains(got.Body, "ClusterAuditLogQuery") {
			t.Errorf("%s %q: who may not read everything is offered a ClusterAuditLogQuery", tt.user, tt.filter)
		}
	}
	const yaml = "/security/audit-logs/query/yaml?"
	if got := world.As(t, inShop).Get(t, yaml+"namespace=shop&cluster_exclude=elsewhere"); got.Status != 400 || !strings.Contains(got.Body, "cluster_exclude: ") {
		t.Errorf("of what no resource can hold there is a file: %d %s", got.Status, got.Body)
	}
	file := world.As(t, everywhere).Get(t, yaml+"namespace=shop&name=deletes")
	if file.Status != 200 || !strings.HasPrefix(file.Body, "apiVersion: audit.porter.run/v1alpha1\nkind: AuditLogQuery\n") || file.Header.Get("Content-Disposition") != `attachment; filename="deletes.yaml"` {
		t.Errorf("%d %v %s", file.Status, file.Header, file.Body)
	}
}

var nextSnapshots = regexp.MustCompile(`href="([^"]+)" rel="next"`)

// The list of snapshots shows each once, newest first, to those who may see it.
func TestSnapshotsPage(t *testing.T) {
	for user, want := range map[string][]string{
		everywhere: {"", "billing", "shop"}, inShop: {"shop"}, webtest.InShopAndBills: {"billing", "shop"},
	} {
		page := world.As(t, user).Get(t, "/security/snapshots")
		var got []string
		for _, namespace := range []string{"", "billing", "shop"} {
			if strings.Contains(page.Body, world.Snapshots[namespace].ID) {
				got = append(got, namespace)
			}
		}
		if diff := cmp.Diff(want, got); page.Status != 200 || diff != "" {
			t.Errorf("%s: status %d, %s", user, page.Status, diff)
		}
	}
	if got := world.As(t, nobody).Get(t, "/security/snapshots"); got.Status != 403 || !strings.Contains(got.Body, `action="/security/snapshots"`) {
		t.Errorf("who may see none gets %d", got.Status)
	}
	if got := world.As(t, inShop).Get(t, "/security/snapshots?namespace=billing"); got.Status != 403 || strings.Contains(got.Body, world.Snapshots["billing"].ID) {
		t.Errorf("another's namespace answers %d", got.Status)
	}
	b := world.As(t, everywhere)
	// A named namespace limits also those who may read all.
	for query, want := range map[string][]string{
		"namespace=shop": {"shop"}, "namespace=-": {""}, "namespace=shop&namespace=billing": {"billing", "shop"}, "namespace=kube-system": nil,
	} {
		page := b.Get(t, "/security/snapshots?"+query)
		var got []string
		for _, namespace := range []string{"", "billing", "shop"} {
			if strings.Contains(page.Body, world.Snapshots[namespace].ID) {
				got = append(got, namespace)
			}
		}
		if diff := cmp.Diff(want, got); page.Status != 200 || diff != "" || !strings.Contains(page.Body, "Only those of") || want == nil && !strings.Contains(page.Body, "No snapshots of this") {
			t.Errorf("%s: status %d, %s", query, page.Status, diff)
		}
	}
	for _, wrong := range []string{"namespace=%zz", "namespace=shop;x", "before=x", "before=a&before=b", "rage=1", "before=" + strings.Repeat("A", 80)} {
		if got := b.Get(t, "/security/snapshots?"+wrong); got.Status != 400 {
			t.Errorf("%s answers %d", wrong, got.Status)
		}
	}
}

// Pages of snapshots miss none and show none twice, also where many were taken
// at once; a snapshot's page has the others of its query.
func TestSnapshotsPages(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	now := time.Now()
	const all = 120
	scope := query.InNamespaces(webtest.OwnCluster, "shop")
	for i := range all {
		owner := store.Owner{Kind: "AuditLogQuery", Namespace: "shop", Name: `<b>q</b>`, UID: "one"}
		if _, err := snapshot.Take(t.Context(), s, snapshot.Request{ID: snapshot.LegacyID("one", int64(i), ""), Owner: owner, Scope: scope, Limit: 1, Now: now.Add(time.Duration(i/60) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(world.Handler(t, s, false))
	defer server.Close()
	b := world.NewBrowser(t)
	b.Base = server.URL
	b.Login(t, world.Tokens[inShop], "")
	if got := b.Get(t, "/security/snapshots").Body; strings.Contains(got, "<b>q") {
		t.Error("a name became markup")
	}
	link := regexp.MustCompile(`href="(/security/snapshots/[0-9a-f]{32})\?namespace=shop"`)
	seen, path, pages := map[string]int{}, "/security/snapshots?namespace=shop", 0
	for path != "" && pages < 10 {
		page := b.Get(t, path)
		for _, m := range link.FindAllStringSubmatch(page.Body, -1) {
			seen[m[1]]++
		}
		pages++
		if path = ""; nextSnapshots.MatchString(page.Body) {
			path = html.UnescapeString(nextSnapshots.FindStringSubmatch(page.Body)[1])
		}
	}
	if len(seen) != all || pages != 3 {
		t.Errorf("%d pages show %d snapshots, want 3 and %d", pages, len(seen), all)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", id, n)
		}
	}
	page := b.Get(t, "/security/snapshots/"+snapshot.LegacyID("one", 3, "")+"?namespace=shop").Body
	if n := len(link.FindAllString(page, -1)); n < 49 || !strings.Contains(page, "Snapshots of the same query") {
		t.Errorf("the page has %d of the other snapshots of the query", n)
	}
	empty := world.NewBrowser(t)
	none := httptest.NewServer(world.Handler(t, embeddedtest.Open(t, embedded.Options{}), false))
	defer none.Close()
	empty.Base = none.URL
	empty.Login(t, world.Tokens[inShop], "")
	if got := empty.Get(t, "/security/snapshots").Body; !strings.Contains(got, "No snapshots yet") || !strings.Contains(got, "namespace: shop") {
		t.Error("the empty page does not say how to take one")
	}
}

var tailNext = regexp.MustCompile(`data-next="([^"]+)"`)

// The tail gives each reader what it may see, and what its filter asks for.
func TestTailPage(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	server := httptest.NewServer(world.Handler(t, s, false))
	defer server.Close()
	as := func(user string) *webtest.Browser {
		b := world.NewBrowser(t)
		b.Base = server.URL
		b.Login(t, world.Tokens[user], "")
		return b
	}
	const tail = "/security/audit-logs/tail?"
	next := func(a webtest.Answer) string {
		t.Helper()
		m := tailNext.FindStringSubmatch(a.Body)
		if a.Status != http.StatusOK || m == nil {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return "&after=" + url.QueryEscape(html.UnescapeString(m[1]))
	}
	type reader struct{ user, filter string }
	after := map[reader]string{}
	readers := map[reader]int{
		{everywhere, "actor=alice"}: 3, {inShop, "actor=alice"}: 1, {inShop, "namespace=shop"}: 1, {webtest.InShopAndBills, "method=DELETE"}: 2,
		{everywhere, "actor=bob"}: 0, {everywhere, "range=last_hour"}: 2, {everywhere, "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"}: 0,
	}
	for r := range readers {
		after[r] = next(as(r.user).Get(t, tail+r.filter))
	}
	fresh, billing, old := someEvent(time.Second), someEvent(time.Second), someEvent(2*time.Hour)
	billing.Namespace, old.Namespace, fresh.ResourceName = "billing", "", webtest.Hostile
	var batch []audit.Event
	for _, e := range []audit.Event{fresh, billing, old} {
		_, _ = rand.Read(e.ID[:])
		e.Raw = []byte("{}")
		batch = append(batch, e)
	}
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: batch}); err != nil {
		t.Fatal(err)
	}
	for r, want := range readers {
		got := as(r.user).Get(t, tail+r.filter+after[r])
		if n := strings.Count(got.Body, "<tr"); n != want || strings.Contains(got.Body, "<script") {
			t.Errorf("%v gets %d rows, want %d: %s", r, n, want, got.Body)
		}
		if again := as(r.user).Get(t, tail+r.filter+next(got)); strings.Contains(again.Body, "<tr") {
			t.Errorf("%v gets them twice", r)
		}
	}
	// A position says where, not who: another's rights count.
	if got := as(inShop).Get(t, tail+"actor=alice"+after[reader{everywhere, "actor=alice"}]); strings.Count(got.Body, "<tr") != 1 {
		t.Errorf("with another's position there is %s", got.Body)
	}
	for path, status := range map[string]int{"namespace=billing": 403, "after=nonsense": 400, "rage=1": 400, "after=a&after=b": 400} {
		if got := as(inShop).Get(t, tail+path); got.Status != status {
			t.Errorf("%s answers %d, want %d", path, got.Status, status)
		}
	}
	if got := world.NewBrowser(t).Get(t, tail); got.Status != http.StatusSeeOther {
		t.Errorf("without a session it answers %d", got.Status)
	}
	page := as(everywhere).Get(t, "/security/audit-logs?live=1").Body
	if !strings.Contains(page, `data-poll="/security/audit-logs/tail"`) || fmt.Sprint(strings.Count(page, "class=\"late\"")) != "1" {
		t.Error("the list does not begin the tail, or marks not the one late event")
	}
}
