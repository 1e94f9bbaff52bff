package dashboard

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/problem"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

const (
	savePath      = query.AuditLogsPath + "/query"
	nameParameter = "name" // of the resource
	defaultName   = "audit-query"
	// mostManifests bounds how many resources one page writes.
	mostManifests = 50
)

// saveData is the page that writes a filter as resources to commit.
type saveData struct {
	Name      string
	Keep      []parameter // the filter, for the form of the name
	List      string
	Manifests []crdconv.Manifest
	Kind      string
	YAML      string
	Command   string
	Download  string
	Notes     []string
	// Wrong says what the resources can't hold.
	Wrong []problem.Field
}

// saveQuery shows the page, and sends its file.
func (d *dashboard) saveQuery(w http.ResponseWriter, r *http.Request, user auth.User) {
	values, err := readValues(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	name, err := take(values, nameParameter)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	file := strings.HasSuffix(r.URL.Path, yamlFile)
	filter, err := query.ParseValues(values)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	scope, err := d.Auth.Scope(r.Context(), user, filter.Namespaces...)
	if err != nil {
		d.refused(w, r, user, err, savePath, parameters(filter))
		return
	}
	_, limited := scope.Namespaces()
	data := saveData{Name: strings.TrimSpace(name), Keep: parameters(filter), List: listLink(filter.Encode())}
	if data.Name == "" {
		data.Name = defaultName
	}
	data.Manifests, err = crdconv.Manifests(data.Name, filter, limited)
	if err == nil && len(data.Manifests) > mostManifests {
		err = &query.FieldError{Field: string(query.ByNamespace), Problem: fmt.Sprintf("the view spans %d namespaces, and each takes a query; choose at most %d", len(data.Manifests), mostManifests)}
	}
	if err != nil {
		data.Wrong = problem.Of(err).Fields
		if data.Wrong == nil {
			d.failed(w, r, user, err)
			return
		}
		if file {
			d.failed(w, r, user, err)
			return
		}
		d.render(w, r, http.StatusBadRequest, "query", page{Title: "Save as AuditLogQuery", User: user.Name, Place: inLogs, Wide: scope.IsClusterWide(), Data: data})
		return
	}
	var all []string
	for _, m := range data.Manifests {
		all = append(all, m.YAML)
	}
	data.YAML, data.Kind = strings.Join(all, "---\n"), data.Manifests[0].Kind
	if file {
		w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
		// The name was checked: it needs no quoting.
		w.Header().Set("Content-Disposition", `attachment; filename="`+data.Name+`.yaml"`)
		_, _ = w.Write([]byte(data.YAML)) // the browser is gone
		return
	}
	data.Download = savePath + yamlFile + "?" + join(filter.Encode(), encode(parameter{nameParameter, data.Name}))
	data.Command = "kubectl apply -f - <<'EOF'\n" + data.YAML + "EOF\n"
	data.Notes = saveNotes(filter, scope, data.Manifests)
	d.render(w, r, http.StatusOK, "query", page{Title: "Save as AuditLogQuery", User: user.Name, Place: inLogs, Wide: scope.IsClusterWide(), Data: data})
}

// saveNotes says where the resources differ from the view that they were made
// of, and who will see their answers.
func saveNotes(f query.Filter, scope query.Scope, manifests []crdconv.Manifest) []string {
	var notes []string
	if manifests[0].Kind == crdconv.KindCluster {
		notes = append(notes, "It asks about every cluster and namespace that the filter leaves in. Whoever may create or read a ClusterAuditLogQuery may read every event.")
	} else {
		notes = append(notes, "Whoever may create or read an AuditLogQuery in a namespace may read the events of that namespace.")
		if scope.IsClusterWide() {
			notes = append(notes, "An AuditLogQuery covers its namespace in the operator's own cluster. This view has the namespaces of that name of every cluster.")
		}
	}
	if len(manifests) > 1 {
		notes = append(notes, "Your rights are those of single namespaces, so there is one query for each of them.")
	}
	if f.Range.From.IsZero() {
		notes = append(notes, "The time range ends when a snapshot is taken, not now.")
	} else if f.Range.To.IsZero() {
		notes = append(notes, "The time range begins at a fixed time and ends when a snapshot is taken.")
	}
	return notes
}
