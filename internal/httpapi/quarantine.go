package httpapi

import (
	"net/http"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/quarantine"
	"github.com/porter-dev/audit-operator/internal/store"
)

func (a *api) quarantine(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	req := quarantine.Request{
		Limit:  p.number("limit", defaultPage, store.MaxQuarantinePage),
		Cursor: p.text(quarantine.CursorParameter), Source: p.text(quarantine.SourceParameter),
	}
	if err := p.err(); err != nil {
		return err
	}
	if err := a.Auth.MaySeeQuarantine(r.Context(), user); err != nil {
		return err
	}
	page, err := quarantine.List(r.Context(), a.Store, req)
	if err != nil {
		return err
	}
	return send(w, page)
}
