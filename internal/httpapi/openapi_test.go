package httpapi_test

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/internal/httpapi"
	problems "github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
)

// parameter is one of the OpenAPI document, or a reference to it.
type parameter struct {
	Ref  string `json:"$ref"`
	Name string `json:"name"`
	In   string `json:"in"`
}

type operation struct {
	OperationID string      `json:"operationId"`
	Parameters  []parameter `json:"parameters"`
}

type pathItem struct {
	Parameters []parameter `json:"parameters"`
	Get        *operation  `json:"get"`
	Post       *operation  `json:"post"`
	Delete     *operation  `json:"delete"`
}

func (p *pathItem) operations() map[string]*operation {
	return map[string]*operation{http.MethodGet: p.Get, http.MethodPost: p.Post, http.MethodDelete: p.Delete}
}

// spec is what tests look at in the document.
type spec struct {
	OpenAPI    string              `json:"openapi"`
	Paths      map[string]pathItem `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
		Schemas    struct {
			Dimension struct {
				Enum []query.Dimension `json:"enum"`
			} `json:"Dimension"`
			Problem struct {
				Properties struct {
					Type struct {
						Enum []string `json:"enum"`
					} `json:"type"`
				} `json:"properties"`
			}
		} `json:"schemas"`
	} `json:"components"`
}

var readSpec = sync.OnceValue(func() spec {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	var s spec
	if err := yaml.Unmarshal(text, &s); err != nil {
		panic(err)
	}
	return s
})

// The document is served to everybody.
func TestServedDocument(t *testing.T) {
	answer := newPrograms(t).get(t, "", "/api/v1/openapi.json")
	var served, kept any
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(answer.Body), &served); err != nil || answer.Status != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, %v", answer.Status, err)
	}
	if diff := cmp.Diff(kept, served); diff != "" {
		t.Error(diff)
	}
}

// The document has every route and no other, and every parameter of a filter
// where there is one.
func TestDocumentIsComplete(t *testing.T) {
	c := readSpec()
	var documented, served []string
	ids := map[string]bool{}
	for path, item := range c.Paths {
		for method, op := range item.operations() {
			if op == nil {
				continue
			}
			documented = append(documented, method+" "+path)
			if op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s lacks an operationId of its own", method, path)
			}
			ids[op.OperationID] = true
		}
	}
	for _, route := range httpapi.Routes() {
		served = append(served, route[0]+" "+route[1])
	}
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("served (-) and documented (+) differ:\n%s", diff)
	}
	for path, item := range c.Paths {
		if len(item.Parameters) == 0 {
			continue
		}
		var names []string
		for _, p := range item.Parameters {
			p, ok := c.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
			if !ok || p.In != "query" {
				t.Errorf("%s: parameter %+v", path, p)
			}
			names = append(names, p.Name)
		}
		if diff := cmp.Diff(query.Parameters(), names); diff != "" {
			t.Errorf("%s: the filter's parameters (-) and those of the document (+) differ:\n%s", path, diff)
		}
	}
	if diff := cmp.Diff(query.Dimensions, c.Components.Schemas.Dimension.Enum); diff != "" {
		t.Errorf("dimensions (-) and those of the document (+) differ:\n%s", diff)
	}
	var kinds []string
	for _, kind := range problems.Kinds {
		kinds = append(kinds, kind.Type())
	}
	if diff := cmp.Diff(kinds, c.Components.Schemas.Problem.Properties.Type.Enum); diff != "" {
		t.Errorf("problems (-) and those of the document (+) differ:\n%s", diff)
	}
}

// What an endpoint says that it understands is what the document has.
func TestDocumentedParameters(t *testing.T) {
	c, p := readSpec(), newPrograms(t)
	for _, route := range httpapi.Routes() {
		item := c.Paths[route[1]]
		if route[0] != http.MethodGet || strings.HasSuffix(route[1], "openapi.json") {
			continue
		}
		var want []string
		for _, named := range append(item.Parameters, item.Get.Parameters...) {
			if named.Ref != "" {
				named = c.Components.Parameters[strings.TrimPrefix(named.Ref, "#/components/parameters/")]
			}
			if named.In == "query" {
				want = append(want, named.Name)
			}
		}
		path := strings.NewReplacer("{id}", strings.Repeat("0", 32), "{dimension}", "actor").Replace(route[1])
		refused := wantProblem(t, p.get(t, everywhere, path+"?colour=red"), http.StatusBadRequest, "invalid").Errors
		if len(refused) != 1 {
			t.Fatalf("%s: %+v", path, refused)
		}
		_, listed, _ := strings.Cut(refused[0].Detail, "; use ")
		got := strings.Split(listed, ", ")
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the document (-) and the endpoint (+) differ:\n%s", path, diff)
		}
	}
}
