package dashboard

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
)

type eventData struct {
	*audit.Event
	Fields []field
	JSON   string
	List   string
	// Same are the other events with its audit ID, as the request went on.
	Same        []row
	More        bool // there are others that bear it
	Unavailable bool // they could not be read
}

type field struct{ Label, Value string }

func (d *dashboard) event(w http.ResponseWriter, r *http.Request, user auth.User) {
	scope, ok := d.itemScope(w, r, user)
	if !ok {
		return
	}
	id, err := audit.ParseID(r.PathValue("id"))
	if err != nil {
		d.notFound(w, r, user)
		return
	}
	e, err := d.Store.Event(r.Context(), scope, id)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	same, err := d.Store.SameRequest(r.Context(), scope, &e)
	if err != nil { // the event itself is there to be shown
		if r.Context().Err() != nil {
			return // nobody waits for the answer
		}
		d.Log.Error(err, "Could not read the events with an event's audit ID", "path", r.URL.Path, "user", user.Name)
	}
	data := eventData{
		Event: &e, Fields: d.fields(&e), JSON: indent(e.Raw), List: query.AuditLogsPath + namespaceOf(scope, e.Namespace),
		Same: d.rows(same.Events, scope), More: same.More, Unavailable: err != nil,
	}
	slices.SortStableFunc(data.Same, func(a, b row) int { return a.StageAt.Compare(b.StageAt) })
	d.render(w, r, http.StatusOK, "event", page{Title: "Audit event", User: user.Name, Place: inLogs, Data: data})
}

func indent(raw []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

// fields returns every typed field that the event has.
func (d *dashboard) fields(e *audit.Event) []field {
	var ips []string
	for _, ip := range e.IPs {
		ips = append(ips, ip.String())
	}
	status := ""
	if e.StatusCode != 0 {
		status = strconv.Itoa(e.StatusCode)
		if text := http.StatusText(e.StatusCode); text != "" {
			status += " " + text
		}
	}
	all := []field{
		{"Occurred at", rfc3339(e.OccurredAt)}, {"Stage at", rfc3339(e.StageAt)}, {"Ingested at", rfc3339(e.IngestedAt)},
		{"Actor", e.Actor}, {"Kind of actor", e.ActorKind}, {"Acted via", e.ActedVia}, {"Credential", e.CredentialID},
		{"Method", e.Method}, {"Verb", e.Verb}, {"Status", status}, {"Dry run", strconv.FormatBool(e.DryRun)},
		{"Resource type", nameOf(displayNames(d.Types()), e.ResourceType)}, {"Action", e.Action},
		{"API group", e.APIGroup}, {"API version", e.APIVersion}, {"Resource", e.Resource}, {"Subresource", e.Subresource},
		{"Namespace", e.Namespace}, {"Resource name", e.ResourceName}, {"Path", e.Path},
		{"Client", e.Client}, {"User agent", e.UserAgent}, {"IP addresses", strings.Join(ips, ", ")},
		{"Cluster", e.Cluster}, {"Source", e.Source}, {"Level", e.Level}, {"Stage", e.Stage},
		{"Audit ID", e.AuditID}, {"Event ID", e.ID.String()}, {"SHA-256 of the raw event", hex.EncodeToString(e.RawSHA256[:])},
	}
	present := all[:0]
	for _, f := range all {
		if f.Value != "" {
			present = append(present, f)
		}
	}
	return present
}
