package httpapi

import (
	"fmt"
	"net/http"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
)

// porterExport is the body of Porter's export.
type porterExport struct {
	porterFilter
	Format export.Format `json:"format"`
	Limit  *int64        `json:"limit"`
}

// porterExport sends a file with Porter's columns.
func (a *api) porterExport(w http.ResponseWriter, r *http.Request, user auth.User) error {
	body, err := decodeBody[porterExport](w, r)
	if err != nil {
		return err
	}
	q, err := body.question(r.PathValue("project"), a.Now())
	if err != nil {
		return err
	}
	req := export.Request{Filter: q.Filter, Window: q.Window, Asked: q.asked, Format: body.Format, Limit: export.DefaultLimit, Porter: true, Project: r.PathValue("project")}
	switch body.Format {
	case "":
		req.Format = export.CSV
	case export.CSV, export.NDJSON:
	default:
		return invalidBody("format", "must be csv or ndjson")
	}
	if body.Limit != nil {
		if req.Limit = *body.Limit; req.Limit < 1 || req.Limit > export.MaxLimit {
			return invalidBody("limit", fmt.Sprintf("must be a number from 1 to %d", export.MaxLimit))
		}
	}
	scope, err := a.porterScope(r, user)
	if err != nil {
		return err
	}
	return a.Exports.Serve(w, r, user, scope, req)
}
