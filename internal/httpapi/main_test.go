package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// world is what all tests read.
var world webtest.World

func TestMain(m *testing.M) { webtest.Main(m, &world) }

// The users, and their names for short.
const (
	everywhere = webtest.Everywhere
	inShop     = webtest.InShop
	inBoth     = webtest.InShopAndBills
	nobody     = webtest.Nobody
)

// programs are clients of one server, which send the tokens of their users.
// They hold every answer against the OpenAPI document.
type programs struct{ *webtest.Browser }

func newPrograms(t *testing.T) programs {
	t.Helper()
	return programs{world.NewBrowser(t)}
}

// programsOver are clients of a server over other stores than the world's.
func programsOver(t *testing.T, events dashboard.Store, records store.Writer) programs {
	t.Helper()
	server := httptest.NewServer(world.HandlerOver(t, events, records, func(*login.Options) {}))
	t.Cleanup(server.Close)
	return programs{&webtest.Browser{Client: server.Client(), Base: server.URL}}
}

// get asks as a user; as nobody known where user is empty.
func (p programs) get(t *testing.T, user, path string) webtest.Answer {
	t.Helper()
	return p.ask(t, user, http.MethodGet, path)
}

func (p programs) ask(t *testing.T, user, method, path string) webtest.Answer {
	t.Helper()
	header := http.Header{"Accept": {"application/json"}}
	if user != "" {
		header.Set("Authorization", "Bearer "+world.Tokens[user])
	}
	answer := p.Do(t, method, path, nil, header)
	readContract().conforms(t, method, path, "", answer)
	return answer
}

// decode reads an answer, which must hold nothing else than T has.
func decode[T any](t *testing.T, answer webtest.Answer) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(answer.Body), &out, json.RejectUnknownMembers(true)); err != nil {
		t.Fatalf("status %d: %v: %s", answer.Status, err, answer.Body)
	}
	return out
}

// problem is what an error answers.
type problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Errors []wrong `json:"errors"`
}

type wrong struct {
	Parameter string `json:"parameter"`
	Value     string `json:"value"`
	Detail    string `json:"detail"`
}

// wantProblem checks that an answer is a problem of a kind.
func wantProblem(t *testing.T, answer webtest.Answer, status int, kind string) problem {
	t.Helper()
	if kind := answer.Header.Get("Content-Type"); answer.Status != status || kind != "application/problem+json" {
		t.Fatalf("status %d, type %q, want %d and a problem: %s", answer.Status, kind, status, answer.Body)
	}
	p := decode[problem](t, answer)
	if p.Status != status || p.Type != "urn:audit-operator:problem:"+kind || p.Title == "" || p.Detail == "" {
		t.Errorf("got %+v, want the kind %s", p, kind)
	}
	return p
}
