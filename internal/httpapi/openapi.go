package httpapi

import (
	_ "embed"
	"net/http"

	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/internal/auth"
)

// document is the OpenAPI document of everything here. Tests hold every route
// and every answer against it.
//
//go:embed openapi.yaml
var document []byte

// readDocument returns the document as JSON.
func readDocument() ([]byte, error) { return yaml.YAMLToJSONStrict(document) }

func (a *api) openAPI(w http.ResponseWriter, _ *http.Request, _ auth.User) error {
	write(w, http.StatusOK, "application/json", a.document)
	return nil
}
