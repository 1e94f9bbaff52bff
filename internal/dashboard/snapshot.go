package dashboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	previewRows  = 10
	previewBytes = 64 << 10
	mostAsked    = 500 // values of the filter that are shown
)

type snapshotData struct {
	store.Manifest
	Live     string // the list with the snapshot's filter
	Download string
	Types    map[string]int64 // counts by display name
	Preview  []string
	Asked    []parameter // the filter, in words: the first mostAsked values
	Unshown  int         // how many values it has besides
	File     string      // what the download is called
	History  []snapshotRow
	List     string
}

// snapshot shows the page to browsers and gives programs the body, so that the
// address in a query's status serves both.
func (d *dashboard) snapshot(w http.ResponseWriter, r *http.Request, user auth.User) {
	w.Header().Add("Vary", "Accept")
	if !wantsPage(r) {
		d.download(w, r, user)
		return
	}
	scope, m, body, ok := d.openSnapshot(w, r, user)
	if !ok {
		return
	}
	defer body.Close()
	rows, err := firstRows(body)
	if err != nil {
		d.failed(w, r, user, fmt.Errorf("read snapshot %s: %w", m.ID, err))
		return
	}
	data := snapshotData{
		Manifest: m, Live: liveView(m), Download: query.SnapshotsPath + m.ID + ndjsonFile,
		Types: map[string]int64{}, Preview: rows, File: "audit-snapshot-" + m.ID + ".ndjson",
		History: d.history(r, scope, user, m), List: snapshotsPath + namespaceOf(scope, m.Namespace),
	}
	data.Asked, data.Unshown = asked(m.Filter)
	if m.Namespace != "" {
		data.Download += "?" + encode(parameter{"namespace", m.Namespace})
	}
	names := displayNames(d.Types())
	for resourceType, n := range m.CountsByType {
		data.Types[nameOf(names, resourceType)] += n
	}
	d.render(w, r, http.StatusOK, "snapshot", page{Title: "Snapshot", User: user.Name, Place: inSnapshots, Wide: scope.IsClusterWide(), Data: data})
}

// asked returns a filter's first parameters in words, and how many it has
// besides.
func asked(encoded string) (out []parameter, unshown int) {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return nil, 0
	}
	f, err := query.ParseValues(values)
	if err != nil {
		return nil, 0
	}
	all := parameters(f)
	out = all[:min(len(all), mostAsked)]
	for i, p := range out {
		name, excluded := strings.CutSuffix(p.Name, exclude)
		name = strings.ReplaceAll(name, "_", " ")
		if excluded {
			name = "not " + name
		}
		out[i].Name = name
	}
	return out, len(all) - len(out)
}

// openSnapshot opens the snapshot that the path names, if the user may see it.
// If it returns false it has answered.
func (d *dashboard) openSnapshot(w http.ResponseWriter, r *http.Request, user auth.User) (query.Scope, store.Manifest, io.ReadCloser, bool) {
	scope, _, ok := d.itemScope(w, r, user)
	if !ok {
		return scope, store.Manifest{}, nil, false
	}
	m, err := d.Store.Snapshot(r.Context(), scope, r.PathValue("id"))
	if err != nil {
		d.failed(w, r, user, err)
		return scope, store.Manifest{}, nil, false
	}
	body, err := d.Store.OpenSnapshot(r.Context(), scope, m.ID)
	if err != nil {
		d.failed(w, r, user, err)
		return scope, store.Manifest{}, nil, false
	}
	return scope, m, body, true
}

// firstRows returns the first lines of a snapshot, as many whole ones as fit.
func firstRows(body io.Reader) ([]string, error) {
	lines := bufio.NewReader(io.LimitReader(body, previewBytes))
	var rows []string
	for len(rows) < previewRows {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, strings.TrimSuffix(line, "\n"))
	}
	return rows, nil
}

// download sends a snapshot's bytes as they are, so that their SHA-256 is the digest.
func (d *dashboard) download(w http.ResponseWriter, r *http.Request, user auth.User) {
	scope, _, ok := d.itemScope(w, r, user)
	if !ok {
		return
	}
	if err := d.Exports.Snapshot(w, r, user, scope, r.PathValue("id")); err != nil {
		d.failed(w, r, user, err)
	}
}

// Hex is the digest as sha256sum writes it.
func (s snapshotData) Hex() string { return strings.TrimPrefix(s.Digest, "sha256:") }
