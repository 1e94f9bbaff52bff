package web_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// selection is how a question names namespaces.
type selection struct {
	name           string
	named, without []string
	clusters       []string
}

var selections = []selection{
	{name: "all"},
	{name: "one", named: []string{"qshop"}},
	{name: "another", named: []string{"qbilling"}},
	{name: "two", named: []string{"qshop", "qbilling"}},
	{name: "payroll", named: []string{"qpayroll"}},
	{name: "the prefixed", named: []string{"qshop-two"}},
	{name: "none", named: []string{query.NoNamespace}},
	{name: "one and none", named: []string{"qshop", query.NoNamespace}},
	{name: "one that is gone", named: []string{"qgone"}},
	{name: "one that never was", named: []string{"qnever"}},
	{name: "a hostile name", named: []string{`qshop' OR '1'='1`}},
	{name: "a path", named: []string{"qshop/../qbilling"}},
	{name: "excluded", without: []string{"qbilling"}},
	{name: "one without itself", named: []string{"qshop"}, without: []string{"qshop"}},
	{name: "one of another cluster", named: []string{"qshop"}, clusters: []string{"qeast"}},
	{name: "another cluster", clusters: []string{"qeast"}},
}

func (s *selection) values() url.Values {
	v := url.Values{}
	for name, values := range map[string][]string{"namespace": s.named, "namespace_exclude": s.without, "cluster": s.clusters} {
		if len(values) > 0 {
			v[name] = values
		}
	}
	return v
}

// matches reports whether the filter takes a realm's events in; a dimension's
// own terms don't count when its values are counted.
func (s *selection) matches(r *realm, counted query.Dimension) bool {
	in := func(list []string) bool {
		return slices.Contains(list, r.namespace) || r.namespace == "" && slices.Contains(list, query.NoNamespace)
	}
	byNamespace := counted == query.ByNamespace || (len(s.named) == 0 || in(s.named)) && !in(s.without)
	byCluster := counted == query.ByCluster || len(s.clusters) == 0 || slices.Contains(s.clusters, r.cluster)
	return byNamespace && byCluster
}

// request is what is sent to a door.
type request struct {
	method, path, body string
	header             http.Header
}

func get(path string, values url.Values) request {
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	return request{method: http.MethodGet, path: path}
}

// listing is a door to many events.
type listing struct {
	name    string
	page    bool // one that browsers see
	counted query.Dimension
	wide    bool // named namespaces don't limit what is counted, where the caller may leave them out
	refuses bool // it answers 400 to what it can't express, of the caller's own filter alone
	rights  bool // what it shows of the whole cluster may speak of more than was selected
	// emptiness says whether it tells those who may read no event at all.
	emptiness bool
	// matches says what the door makes of a selection, if not what filters do.
	matches func(*selection, *realm) bool
	// named is what the door takes of the selection, nil for all of it; false
	// where it can't be asked so.
	request func(s *selection, h *holdings) (request, bool)
	// more is the request for what an answer says there is more of, where the
	// caller reads on; nil where one answer has all.
	more func(request, webtest.Answer) (request, bool)
	// forbidden is the answer to those without the right; 403 by default.
	forbidden int
	// check looks at an answer for what the caller must see of it.
	check func(t *testing.T, got webtest.Answer, seen []*realm, h *holdings)
}

const (
	logs    = "/security/audit-logs"
	apiLogs = "/api/v1/audit-logs"
)

// at is a door whose address takes the filter's parameters and more.
func at(path string, more ...string) func(*selection, *holdings) (request, bool) {
	return func(s *selection, _ *holdings) (request, bool) {
		more := slices.Clone(more)
		req := get(path, url.Values{})
		// As links are written: what is written otherwise is sent on to them.
		if filter, err := query.ParseValues(s.values()); err == nil && filter.Encode() != "" {
			req.path += "?" + filter.Encode()
		}
		for ; len(more) > 1; more = more[2:] {
			req.path += map[bool]string{true: "&", false: "?"}[strings.Contains(req.path, "?")] + more[0] + "=" + url.QueryEscape(more[1])
		}
		return req, true
	}
}

// cursorOfAll is the position in the middle of what the caller with every
// right sees: the tenth newest event.
func cursorOfAll(path string) func(*selection, *holdings) (request, bool) {
	return func(s *selection, h *holdings) (request, bool) {
		filter, err := query.ParseValues(s.values())
		if err != nil {
			return request{}, false
		}
		tenth := h.events[9]
		return at(path, "cursor", query.Cursor{
			Position: query.Position{OccurredAt: tenth.OccurredAt, ID: tenth.ID}, FilterHash: filter.Hash(),
			Window: query.Window{From: tenth.OccurredAt.AddDate(0, 0, -1), To: tenth.OccurredAt.AddDate(0, 0, 1)},
		}.Encode())(s, h)
	}
}

var matched = regexp.MustCompile(`<strong[^>]*>([\d,]+)</strong>\s+events?\b`)

func checkPage(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
	t.Helper()
	m := matched.FindStringSubmatch(got.Body)
	if m == nil || strings.ReplaceAll(m[1], ",", "") != strconv.Itoa(count(seen)) {
		t.Errorf("the page counts %q, want %d", m, count(seen))
	}
	checkMarks(t, got, seen)
}

// checkMarks expects something of every realm.
func checkMarks(t *testing.T, got webtest.Answer, seen []*realm) {
	t.Helper()
	for _, r := range seen {
		if !strings.Contains(got.Body, r.mark) {
			t.Errorf("nothing of %s is shown", r.mark)
		}
	}
}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Errorf("the answer is no JSON: %v: %.200s", err, body)
	}
}

// checkItems expects rows of the newest events, from a place on.
func checkItems(after, most int) func(*testing.T, webtest.Answer, []*realm, *holdings) {
	return func(t *testing.T, got webtest.Answer, seen []*realm, h *holdings) {
		t.Helper()
		var answer struct {
			Items   []struct{ ID string }
			Entries []struct{ ID string }
			Matched *int
		}
		decode(t, got.Body, &answer)
		var ids, want []string
		for _, item := range append(answer.Items, answer.Entries...) {
			ids = append(ids, item.ID)
		}
		for _, e := range h.events[after:] {
			if len(want) < most && slices.Contains(seen, h.of[e.ID]) {
				want = append(want, e.ID.String())
			}
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%d rows, want others: %d", len(ids), len(want))
		}
		if answer.Matched != nil && *answer.Matched != count(seen) {
			t.Errorf("matched %d, want %d", *answer.Matched, count(seen))
		}
	}
}

func checkHistogram(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
	t.Helper()
	var answer struct {
		Matched int
		Buckets []struct{ Count int }
	}
	decode(t, got.Body, &answer)
	sum := 0
	for _, b := range answer.Buckets {
		sum += b.Count
	}
	if want := count(seen); answer.Matched != want || sum != want {
		t.Errorf("counts %d, in buckets %d, want %d", answer.Matched, sum, want)
	}
}

// values is what a facet must hold: all values and their counts.
func values(d query.Dimension, seen []*realm) map[string]int {
	out := map[string]int{}
	for _, r := range seen {
		e := r.event(0, world.Events["shop-app"].OccurredAt)
		v := map[query.Dimension]string{
			query.ByResourceType: e.ResourceType, query.ByActor: e.Actor, query.ByMethod: e.Method, query.ByAction: e.Action,
			query.ByIP: e.IPs[0].String(), query.ByStatusCode: strconv.Itoa(r.code), query.ByResourceName: e.ResourceName,
			query.ByCluster: e.Cluster, query.ByClient: e.Client, query.ByStage: e.Stage, query.ByNamespace: e.Namespace,
			query.BySource: e.Source, query.ByResource: query.ResourceText(&e), query.ByUserAgent: "=" + e.UserAgent,
		}[d]
		if v != "" {
			out[v] += r.n
		}
		switch d {
		case query.ByActor: // an actor is either identity
			out[e.ActedVia] += r.n
		case query.ByGroup: // of both identities, one of which is everybody's
			for _, group := range slices.Concat(e.Groups, e.ActedViaGroups) {
				out[group] += r.n
			}
		}
	}
	return out
}

func checkFacet(d query.Dimension) func(*testing.T, webtest.Answer, []*realm, *holdings) {
	return func(t *testing.T, got webtest.Answer, seen []*realm, _ *holdings) {
		t.Helper()
		var answer struct {
			Values []struct {
				Value string
				Count int
			}
		}
		decode(t, got.Body, &answer)
		counts := map[string]int{}
		for _, v := range answer.Values {
			counts[v.Value] = v.Count
		}
		want := values(d, seen)
		if d == query.ByActor {
			// Whether the other identity has a count of its own is the store's to say.
			for v := range want {
				if strings.HasPrefix(v, "via-") && counts[v] == 0 {
					delete(want, v)
				}
			}
		}
		if !maps.Equal(counts, want) {
			t.Errorf("counts %v, want %v", counts, want)
		}
	}
}

// listings are the doors to many events. A door is one entry.
func listings() []*listing {
	all := []*listing{
		{name: "page", page: true, emptiness: true, request: at(logs), check: checkPage},
		{name: "page, further on", page: true, request: cursorOfAll(logs)},
		{name: "API", request: at(apiLogs, "limit", "1000", "count", "true"), check: checkItems(0, 1000)},
		{name: "API, a short page", request: at(apiLogs, "limit", "2"), check: checkItems(0, 2)},
		{name: "API, another's cursor", request: cursorOfAll(apiLogs), check: checkItems(10, 100)},
		{name: "API, searched", request: at(apiLogs, "search", "common", "limit", "1000", "count", "true"), check: checkItems(0, 1000)},
		{name: "histogram", request: at(apiLogs + "/histogram"), check: checkHistogram},
	}
	for _, d := range query.Dimensions {
		all = append(all, &listing{name: "facet of " + string(d), counted: d, request: at(apiLogs + "/facets/" + string(d)), check: checkFacet(d)})
	}
	return append(all, moreListings()...)
}

// item is a door to one thing.
type item struct {
	name     string
	page     bool
	snapshot bool // else an event
	request  func(id string, v url.Values) request
}

func itemAt(before, after string, more ...string) func(string, url.Values) request {
	return func(id string, v url.Values) request {
		for i := 0; i < len(more); i += 2 {
			v.Add(more[i], more[i+1])
		}
		return get(before+id+after, v)
	}
}

func items() []*item {
	return append([]*item{
		{name: "event page", page: true, request: itemAt(logs+"/events/", "")},
		{name: "event, raw", page: true, request: itemAt(logs+"/events/", "/raw")},
		{name: "event drawer", page: true, request: func(id string, v url.Values) request {
			r := get(logs+"/events/"+id, v)
			r.header = http.Header{"Hx-Request": {"true"}, "Hx-Target": {"drawer"}}
			return r
		}},
		{name: "API event", request: itemAt(apiLogs+"/", "")},
		{name: "API event with raw", request: itemAt(apiLogs+"/", "", "raw", "true")},
		{name: "snapshot page", page: true, snapshot: true, request: itemAt("/security/snapshots/", "")},
		{name: "snapshot download", page: true, snapshot: true, request: itemAt("/security/snapshots/", "/ndjson")},
		{name: "snapshot by a program", page: true, snapshot: true, request: func(id string, v url.Values) request {
			r := get("/security/snapshots/"+id, v)
			r.header = http.Header{"Accept": {"*/*"}}
			return r
		}},
	}, moreItems()...)
}

// oracle is a question about what a foreign realm holds: it names a mark, or the
// ID of its newest event.
type oracle struct {
	path string
	byID bool
}

func oracles() []oracle {
	var out []oracle
	for _, parameter := range []string{"search=%s", "actor=actor-%s%%40example.com", "actor=via-%s", "action=action.%s", "resource_name=name-%s", "resource_name=name-%s*", "resource_type=type_%s", "group=team-%s", "group=admins-%s", "group_exclude=team-%s", "audit_id=audit-%s", "user_agent=agent-%s", "user_agent_exclude=agent-%s", "actor_exclude=actor-%s%%40example.com", "search=PATH%%2F%s"} {
		for _, path := range []string{logs, apiLogs, apiLogs + "/histogram", apiLogs + "/facets/status_code", logs + "/values/ip"} {
			out = append(out, oracle{path: path + "?" + parameter})
		}
	}
	for _, path := range []string{apiLogs + "/facets/actor?contains=%s", apiLogs + "/facets/group?contains=%s", logs + "/values/actor?contains=%s", logs + "/values/resource_name?contains=%s"} {
		out = append(out, oracle{path: path})
	}
	// Where the window has nothing, the page tells of the newest match outside.
	later := "&from=" + time.Now().UTC().Add(-10*time.Minute).Format(time.RFC3339) + "&to=" + time.Now().UTC().Format(time.RFC3339)
	return append(out, oracle{path: logs + "?search=%s" + later}, oracle{path: logs + "?event=%s", byID: true})
}
