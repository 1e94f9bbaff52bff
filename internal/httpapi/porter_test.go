package httpapi_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

type entry struct {
	ID           string    `json:"id"`
	OccurredAt   time.Time `json:"occurred_at"`
	Method       string    `json:"method"`
	Path         string    `json:"path"`
	Action       string    `json:"action"`
	ActorType    string    `json:"actor_type"`
	ActorID      string    `json:"actor_id"`
	ActorName    string    `json:"actor_name"`
	ResourceType string    `json:"resource_type"`
	ResourceName string    `json:"resource_name"`
	StatusCode   *int      `json:"status_code"`
	Source       string    `json:"source"`
}

type entries struct {
	Entries    []entry   `json:"entries"`
	NextCursor string    `json:"next_cursor"`
	StartTime  time.Time `json:"start_time"`
	EndTime    time.Time `json:"end_time"`
	AsOf       time.Time `json:"as_of"`
	Complete   struct {
		Status string `json:"status"`
		Reason string `json:"reason"`
	} `json:"complete"`
}

func (p programs) query(t *testing.T, user, project, body string) webtest.Answer {
	t.Helper()
	return p.send(t, user, "/api/v2/projects/"+project+"/api-audit-logs/query", body)
}

// send posts a body as a user.
func (p programs) send(t *testing.T, user, path, body string) webtest.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+world.Tokens[user])
	resp, err := p.Client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := webtest.Answer{Status: resp.StatusCode, Header: resp.Header, Body: string(answered)}
	readContract().conforms(t, http.MethodPost, path, body, answer)
	return answer
}

func TestPorterQuery(t *testing.T) {
	p := newPrograms(t)
	for _, tt := range []struct {
		user, project, body string
		status              int
		keys                []string
	}{
		{everywhere, "-", `{}`, 200, []string{"billing", "cluster", "foreign", "hostile", "shop-app", "shop-env", "shop-project"}},
		{everywhere, "shop", `{}`, 200, []string{"foreign", "shop-app", "shop-env", "shop-project"}},
		{everywhere, "shop", `{"cluster_ids": ["own"]}`, 200, []string{"shop-app", "shop-env", "shop-project"}},
		{everywhere, "-", `{"resource_types_exclude": ["application", "addon"], "methods": ["POST"], "status_codes": [201]}`, 200, []string{"cluster", "shop-env", "shop-project"}},
		{everywhere, "-", `{"application_ids": ["own-shop-app", "own-shop-env"]}`, 200, []string{"shop-app"}},
		{inShop, "shop", `{}`, 200, []string{"shop-app", "shop-env", "shop-project"}},
		{inShop, "shop", `{"search": "SHOP-ENV"}`, 200, []string{"shop-env"}},
		{inShop, "shop", `{"actors_exclude": ["alice"]}`, 200, nil},
		{everywhere, "-", `{"path": "/path-of-shop-app"}`, 200, []string{"shop-app"}},
		{everywhere, "-", `{"path": "/path-of-shop-*"}`, 200, []string{"shop-app", "shop-env", "shop-project"}},
		{everywhere, "-", `{"path": "/path-of-shop"}`, 200, nil},
		{everywhere, "shop", `{"source": "cli", "actor_type": "user"}`, 200, []string{"foreign", "shop-app", "shop-env", "shop-project"}},
		{everywhere, "shop", `{"actor_type": "api_token"}`, 200, nil},
		{inShop, "billing", `{}`, 403, nil},
		{inBoth, "billing", `{}`, 200, []string{"billing"}},
		// The whole cluster is for those who may see all of it.
		{inShop, "-", `{}`, 403, nil},
		{inBoth, "-", `{}`, 403, nil},
		{nobody, "shop", `{}`, 403, nil},
		{nobody, "-", `{}`, 403, nil},
		{"", "shop", `{}`, 401, nil},
	} {
		answer := p.query(t, tt.user, tt.project, tt.body)
		if tt.status != http.StatusOK {
			wantProblem(t, answer, tt.status, map[int]string{401: "unauthenticated", 403: "forbidden"}[tt.status])
			continue
		}
		got := decode[entries](t, answer)
		var keys []string
		for _, e := range got.Entries {
			keys = append(keys, keyOf(t, e))
		}
		slices.Sort(keys)
		if diff := cmp.Diff(tt.keys, keys); diff != "" {
			t.Errorf("%s, %s, %s: %s", tt.user, tt.project, tt.body, diff)
		}
		if got.NextCursor != "" || got.AsOf.IsZero() || !got.StartTime.Before(got.EndTime) || got.Complete.Reason != "NotMeasured" {
			t.Errorf("%s: it says of itself %+v", tt.body, got)
		}
	}
}

// keyOf returns the key of the world's event that an entry is of, and compares both.
func keyOf(t *testing.T, got entry) string {
	t.Helper()
	for key, e := range world.Events {
		if e.ID.String() != got.ID {
			continue
		}
		want := entry{
			ID: got.ID, OccurredAt: e.OccurredAt, Method: "POST", Path: e.Path, Action: e.Action, ActorType: "user", ActorID: "alice", ActorName: "alice",
			ResourceType: e.ResourceType, ResourceName: e.ResourceName, StatusCode: &e.StatusCode, Source: "cli",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
		return key
	}
	return "another event"
}

func TestPorterPages(t *testing.T) {
	p := newPrograms(t)
	whole := decode[entries](t, p.query(t, everywhere, "-", `{}`))
	var got []entry
	body := map[string]any{"limit": 3}
	for pages := 0; pages == 0 || body["cursor"] != ""; pages++ {
		encoded, err := json.Marshal(body)
		if err != nil || pages > 5 {
			t.Fatalf("page %d: %v", pages, err)
		}
		answer := decode[entries](t, p.query(t, everywhere, "-", string(encoded)))
		got = append(got, answer.Entries...)
		body["cursor"] = answer.NextCursor
	}
	if diff := cmp.Diff(whole.Entries, got); diff != "" {
		t.Error(diff)
	}
}

func TestPorterRefuses(t *testing.T) {
	p := newPrograms(t)
	cursor := decode[entries](t, p.query(t, everywhere, "-", `{"limit": 1}`)).NextCursor
	for body, parameter := range map[string]string{
		`{"colour": 1}`: "colour", `{"limit": 0}`: "limit", `{"limit": 1001}`: "limit", `{"path": "apis"}`: "path", `{"source": "ui"}`: "source", `{"actor_type": "robot"}`: "actor_type",
		`{"page": 0}`: "page", `{"page": -1}`: "page", `{"page": 101}`: "page", `{"page": 1000000000000000000}`: "page", `{"page": 11, "limit": 1000}`: "page",
		`{"page": 1, "cursor": "` + cursor + `"}`: "page", `{"cursor": "x"}`: "cursor",
		`{"cursor": "` + cursor + `", "actors": ["alice"]}`: "cursor", `{"methods": ["FETCH"]}`: "methods", `not JSON`: "",
	} {
		got := wantProblem(t, p.query(t, everywhere, "-", body), http.StatusBadRequest, "invalid").Errors
		if len(got) != 1 || got[0].Parameter != parameter {
			t.Errorf("%s: %+v", body, got)
		}
	}
	wantProblem(t, p.query(t, everywhere, "shop*", `{}`), http.StatusBadRequest, "invalid")
	// What would be a filter in a URL must not be passed over.
	wantProblem(t, p.send(t, everywhere, "/api/v2/projects/-/api-audit-logs/query?actor=bob", `{}`), http.StatusBadRequest, "invalid")
	wantProblem(t, p.query(t, everywhere, "-", `{"search": "`+strings.Repeat("x", 64<<10)+`"}`), http.StatusRequestEntityTooLarge, "too-large")
	answer := p.get(t, everywhere, "/api/v2/projects/-/api-audit-logs/query")
	wantProblem(t, answer, http.StatusMethodNotAllowed, "method-not-allowed")
	if allow := answer.Header.Get("Allow"); allow != "POST" {
		t.Errorf("Allow: %q", allow)
	}
}
