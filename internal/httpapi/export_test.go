package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// exported returns the keys of the world's events in a file, sorted.
func exported(t *testing.T, answer webtest.Answer, column string) []string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(answer.Body)).ReadAll()
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("status %d, %v: %s", answer.Status, err, answer.Body)
	}
	var keys []string
	for _, row := range rows[1:] {
		keys = append(keys, strings.TrimPrefix(row[slices.Index(rows[0], column)], "/path-of-"))
	}
	slices.Sort(keys)
	return keys
}

func TestExport(t *testing.T) {
	p := newPrograms(t)
	for _, tt := range []struct {
		user, query string
		status      int
		keys        []string
	}{
		{everywhere, "", 200, []string{"billing", "cluster", "foreign", "hostile", "shop-app", "shop-env", "shop-project"}},
		{everywhere, "?format=csv&resource_type=application", 200, []string{"billing", "foreign", "shop-app"}},
		{everywhere, "?limit=1", 200, []string{"shop-app"}},
		{inShop, "", 200, []string{"shop-app", "shop-env", "shop-project"}},
		{inShop, "?namespace=shop", 200, []string{"shop-app", "shop-env", "shop-project"}},
		{inShop, "?namespace=billing", 403, nil},
		{inShop, "?namespace=-", 403, nil},
		{inBoth, "", 200, []string{"billing", "shop-app", "shop-env", "shop-project"}},
		{nobody, "", 403, nil},
		{"", "", 401, nil},
	} {
		answer := p.get(t, tt.user, "/api/v1/export"+tt.query)
		if tt.status != http.StatusOK {
			wantProblem(t, answer, tt.status, map[int]string{401: "unauthenticated", 403: "forbidden"}[tt.status])
			continue
		}
		if diff := cmp.Diff(tt.keys, exported(t, answer, "path")); diff != "" {
			t.Errorf("%s, %s: %s", tt.user, tt.query, diff)
		}
	}
}

// What is wrong is said before any byte of a file.
func TestExportRefuses(t *testing.T) {
	p := newPrograms(t)
	for address, parameter := range map[string]string{
		"?format=xlsx": "format", "?format=csv&raw=true": "raw", "?limit=0": "limit", "?limit=1000001": "limit", "?limit=10001&raw=true&format=ndjson": "limit",
		"?colour=red": "colour", "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "from", "?range=1y": "range", "?cursor=x": "cursor",
	} {
		got := wantProblem(t, p.get(t, everywhere, "/api/v1/export"+address), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", address, got)
		}
	}
	for body, parameter := range map[string]string{
		`{"format": "xlsx"}`: "format", `{"limit": 0}`: "limit", `{"cursor": "x"}`: "cursor", `{"start_date": "soon"}`: "start_date",
	} {
		got := wantProblem(t, p.send(t, everywhere, "/api/v2/projects/-/api-audit-logs/export", body), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestPorterExport(t *testing.T) {
	p := newPrograms(t)
	const path = "/api/v2/projects/shop/api-audit-logs/export"
	if diff := cmp.Diff([]string{"shop-app", "shop-env", "shop-project"}, exported(t, p.send(t, inShop, path, `{}`), "path")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"shop-app"}, exported(t, p.send(t, inShop, path, `{"resource_types": ["application"]}`), "path")); diff != "" {
		t.Error(diff)
	}
	lines := p.send(t, inShop, path, `{"format": "ndjson", "resource_types": ["application"]}`)
	at := world.Events["shop-app"].OccurredAt.Format("2006-01-02T15:04:05.000000Z")
	want := `{"started_at":"` + at + `","method":"POST","path":"/path-of-shop-app","action":"application.create","actor_type":"user","actor_id":"alice","actor_name":"alice",` +
		`"remote_ip":"192.0.2.7","user_agent":"","resource_type":"application","resource_id":"things/shop/own-shop-app","resource_name":"own-shop-app",` +
		`"cluster_id":"own","cluster_name":"own","preview_environment_id":"","preview_environment_name":"","status_code":201}` + "\n"
	if diff := cmp.Diff(want, lines.Body); diff != "" {
		t.Error(diff)
	}
	for project, name := range map[string]string{"shop": "shop", "-": "-", "a%22%0Ab": "a__b"} {
		answer := p.send(t, everywhere, "/api/v2/projects/"+project+"/api-audit-logs/export", `{"start_date": "2026-01-01", "end_date": "2026-01-31"}`)
		if got, want := answer.Header.Get("Content-Disposition"), `attachment; filename="api-audit-logs-project-`+name+`-20260101-to-20260131.csv"`; answer.Status != 200 || got != want {
			t.Errorf("%s: status %d, %s, want %s", project, answer.Status, got, want)
		}
	}
	wantProblem(t, p.send(t, inShop, path, `{"page": 1}`), http.StatusBadRequest, "invalid") // a file has no pages
	for _, user := range []string{nobody, inShop} {
		wantProblem(t, p.send(t, user, "/api/v2/projects/billing/api-audit-logs/export", `{}`), http.StatusForbidden, "forbidden")
	}
}

// The bytes at both addresses are those of the digest.
func TestSnapshotRecords(t *testing.T) {
	p := newPrograms(t)
	m := world.Snapshots["shop"]
	for _, address := range []string{"/api/v1/snapshots/" + m.ID + "/records", "/security/snapshots/" + m.ID + "/ndjson"} {
		answer := p.get(t, inShop, address+"?namespace=shop")
		sum := sha256.Sum256([]byte(answer.Body))
		if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; answer.Status != http.StatusOK || answer.Header.Get("Repr-Digest") != want {
			t.Errorf("%s: status %d, Repr-Digest %s, want %s", address, answer.Status, answer.Header.Get("Repr-Digest"), want)
		}
		first, _, _ := strings.Cut(answer.Body, "\n")
		if _, err := snapshot.ParseRecord([]byte(first)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if answer := p.get(t, nobody, address); answer.Status != http.StatusNotFound {
			t.Errorf("%s: nobody is answered %d", address, answer.Status)
		}
	}
	foreign := world.Snapshots["billing"]
	wantProblem(t, p.get(t, inShop, "/api/v1/snapshots/"+foreign.ID+"/records"), http.StatusNotFound, "not-found")
}

// What somebody takes away is among the events that the next reader sees.
func TestExportsAndDownloadsAreEvents(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	m, err := snapshot.Take(t.Context(), s, snapshot.Request{
		ID: snapshot.LegacyID("x", 1, ""), Owner: store.Owner{Kind: "AuditLogQuery", Namespace: "shop", Name: "q", UID: "x"},
		Scope: query.InNamespaces(webtest.OwnCluster, "shop"), Limit: 10, Now: time.Now(), Retention: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := programsOver(t, s, s)
	p.get(t, inShop, "/api/v1/export?format=csv")
	p.send(t, inBoth, "/api/v2/projects/shop/api-audit-logs/export", `{}`)
	p.get(t, inShop, "/api/v1/snapshots/"+m.ID+"/records")
	p.get(t, inShop, "/security/snapshots/"+m.ID+"/ndjson")
	p.get(t, everywhere, "/api/v1/export?format=ndjson")
	// What is refused, and what holds no event, is none.
	p.get(t, nobody, "/api/v1/export")
	p.get(t, inShop, "/api/v1/export?limit=0")
	p.get(t, inShop, "/api/v1/audit-logs")

	list := func(user string) (out []string) {
		var answer struct{ Items []snapshot.Record }
		got := p.get(t, user, "/api/v1/audit-logs?client=operator&stage=ResponseStarted")
		if err := json.Unmarshal([]byte(got.Body), &answer, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Items {
			if r.Source != audit.OwnSource {
				t.Errorf("an event of %s", r.Source)
			}
			actor := strings.TrimPrefix(r.Actor, "system:serviceaccount:default:")
			out = append(out, actor+" "+r.Action+" "+r.Method+" "+r.Namespace)
		}
		slices.Sort(out)
		return out
	}
	want := []string{
		"shop project.audit_export POST shop",
		"shop project.audit_snapshot_download POST shop", "shop project.audit_snapshot_download POST shop",
		"shop-and-billing project.audit_export POST shop",
	}
	if diff := cmp.Diff(want, list(inShop)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append([]string{"everywhere project.audit_export POST "}, want...), list(everywhere)); diff != "" {
		t.Error(diff)
	}
}

// full is a store that takes nothing.
type full struct{}

func (full) Append(context.Context, store.Batch) (store.Appended, error) {
	return store.Appended{}, store.ErrUnavailable
}

func TestNothingLeavesUnrecorded(t *testing.T) {
	p := programsOver(t, world.Store, full{})
	for _, address := range []string{"/api/v1/export", "/api/v1/snapshots/" + world.Snapshots["shop"].ID + "/records", "/security/snapshots/" + world.Snapshots["shop"].ID + "/ndjson"} {
		answer := p.get(t, inShop, address)
		if answer.Status != http.StatusServiceUnavailable || strings.Contains(answer.Body, "path-of") || !strings.Contains(answer.Body, "record") {
			t.Errorf("%s: status %d, %s", address, answer.Status, answer.Body)
		}
	}
}
