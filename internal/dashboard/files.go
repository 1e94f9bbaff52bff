package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
)

// A file hangs below the page that offers it; this follows the page's path.
const (
	csvFile    = "/csv"
	ndjsonFile = "/ndjson"
	rawFile    = "/raw"
	yamlFile   = "/yaml"
)

// landing is the page to come back to after a log-in. That of a file is the page
// that offers it: a file would leave the browser on the log-in's page, and no
// records are given to a browser that another site sends, such as the provider's.
func landing(asked *url.URL) string {
	page := *asked
	for _, file := range []string{csvFile, ndjsonFile, rawFile, yamlFile} {
		page.Path = strings.TrimSuffix(page.Path, file)
	}
	return page.RequestURI()
}

// exported sends what a list shows, all of its pages.
func (d *dashboard) exported(format export.Format) userHandler {
	return func(w http.ResponseWriter, r *http.Request, user auth.User) {
		req := export.Request{Format: format, Limit: export.DefaultLimit, Asked: d.Now().UTC().Truncate(time.Microsecond)}
		values, err := readValues(r)
		if err == nil {
			req.Filter, err = query.ParseValues(values)
		}
		if err == nil {
			req.Window, err = req.Filter.Range.Resolve(req.Asked)
		}
		if err != nil {
			d.failed(w, r, user, err)
			return
		}
		scope, err := d.Auth.Scope(r.Context(), user, req.Filter.Namespaces...)
		if err != nil {
			d.refused(w, r, user, err, "", parameters(req.Filter))
			return
		}
		if err := d.Exports.Serve(w, r, user, scope, req); err != nil {
			d.failed(w, r, user, err)
		}
	}
}
