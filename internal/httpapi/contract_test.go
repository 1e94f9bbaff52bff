package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/porter-dev/audit-operator/internal/httpapi"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// contract is the OpenAPI document, against which the answers of all tests are
// held.
type contract struct {
	mu        sync.Mutex // the validator is for one request at a time
	validator validator.Validator
	routes    *http.ServeMux
}

var readContract = sync.OnceValue(func() *contract {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		panic(err)
	}
	c := &contract{routes: http.NewServeMux()}
	var errs []error
	if c.validator, errs = validator.NewValidator(document); len(errs) > 0 {
		panic(errs)
	}
	for _, route := range httpapi.Routes() {
		c.routes.Handle(route[0]+" "+route[1], http.NotFoundHandler())
	}
	return c
})

// conforms checks that the document has the answer, and the request too where it
// was understood.
func (c *contract) conforms(t *testing.T, method, path, body string, answer webtest.Answer) {
	t.Helper()
	request := func() *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer token")
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	if _, route := c.routes.Handler(request()); route == "" || method == http.MethodHead {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, errs := c.validator.ValidateHttpResponse(request(), response(answer.Status, answer.Header, answer.Body))
	if answer.Status < http.StatusBadRequest {
		_, wrong := c.validator.ValidateHttpRequestSync(request())
		errs = append(errs, wrong...)
	}
	// OpenAPI 3.1 can't say what a line is. Those of version 1 are events.
	if answer.Header.Get("Content-Type") == "application/x-ndjson" && strings.HasPrefix(path, "/api/v1/") {
		event := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/audit-logs/"+strings.Repeat("0", 32), nil)
		for line := range strings.Lines(answer.Body) {
			_, wrong := c.validator.ValidateHttpResponse(event, response(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, line))
			errs = append(errs, wrong...)
		}
	}
	for _, err := range errs {
		t.Errorf("%s %s %s, status %d: %s: %s: %v", method, path, body, answer.Status, err.Message, err.Reason, err.SchemaValidationErrors)
	}
}

func response(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// The document is one of OpenAPI 3.1.
func TestDocument(t *testing.T) {
	if version := readSpec().OpenAPI; !strings.HasPrefix(version, "3.1.") {
		t.Errorf("it is of OpenAPI %s", version)
	}
	_, errs := readContract().validator.ValidateDocument()
	for _, err := range errs {
		t.Errorf("%s: %s: %v", err.Message, err.Reason, err.SchemaValidationErrors)
	}
	broken, err := libopenapi.NewDocument([]byte(`{"openapi": "3.1.0", "paths": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := validator.NewValidator(broken); v != nil {
		if ok, _ := v.ValidateDocument(); ok {
			t.Error("a document without its title passes")
		}
	}
}
