package httpapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// An answer that fails after its first byte does not look whole.
func TestFailureWithinAnAnswer(t *testing.T) {
	for name, fail := range map[string]func() error{
		"an error": func() error { return errors.New("x") },
		"a panic":  func() error { panic("x") },
		"an abort": func() error { panic(http.ErrAbortHandler) },
	} {
		h := (&api{}).caught(endpoint{open: true, answer: func(w http.ResponseWriter, _ *http.Request, _ auth.User) error {
			if _, err := io.WriteString(w, "[1,"); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("%s: flush: %v", name, err)
			}
			return fail()
		}})
		server := httptest.NewServer(h)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%s: the answer %q ends as if it was whole", name, body)
		}
		resp.Body.Close()
		server.Close()
	}
}
