package httpapi

import (
	"net/http"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
)

// export sends the newest events of a filter as a file.
func (a *api) export(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	req := export.Request{Format: p.format(), Raw: p.flag("raw")}
	most := export.MaxLimit
	if req.Raw {
		most = export.MaxRawLimit
		if req.Format != export.NDJSON {
			p.wrong("raw", "true", "needs format=ndjson; CSV has no raw events")
		}
	}
	req.Limit = int64(p.number("limit", export.DefaultLimit, most))
	q := p.question(a.Now())
	if err := p.err(); err != nil {
		return err
	}
	scope, err := a.Auth.Scope(r.Context(), user, q.Namespaces...)
	if err != nil {
		return err
	}
	req.Filter, req.Window, req.Asked = q.Filter, q.Window, q.asked
	return a.Exports.Serve(w, r, user, scope, req)
}

// format returns the format of an export, CSV when absent.
func (p *parameters) format() export.Format {
	v := export.Format(p.text("format"))
	switch v {
	case "":
		return export.CSV
	case export.CSV, export.NDJSON:
	default:
		p.wrong("format", query.Shorten(string(v)), "is no format; use csv or ndjson")
	}
	return v
}

// snapshotRecords sends the bytes that a snapshot's digest is of.
func (a *api) snapshotRecords(w http.ResponseWriter, r *http.Request, user auth.User) error {
	scope, err := a.snapshotScope(r, user)
	if err != nil {
		return err
	}
	return a.Exports.Snapshot(w, r, user, scope, r.PathValue("id"))
}
