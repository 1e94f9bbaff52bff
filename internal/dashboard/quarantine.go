package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/quarantine"
)

const (
	quarantinePath = "/security/quarantine"
	// quarantineRows bounds the page: an item is 8 KiB of text at most, which
	// escapes make six times as long.
	quarantineRows = 25
)

type quarantineData struct {
	Path   string
	Source string // the source whose items are shown; empty for all
	Rows   []heldItem
	Later  bool
	First  string
	Next   string
}

// heldItem is an item as the page shows it.
type heldItem struct {
	quarantine.Item
	Of string // the list of its source alone
}

// quarantine lists what could not become an event, to those who may see all of it.
func (d *dashboard) quarantine(w http.ResponseWriter, r *http.Request, user auth.User) {
	values, err := readValues(r)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	req := quarantine.Request{Limit: quarantineRows}
	for name, field := range map[string]*string{quarantine.SourceParameter: &req.Source, quarantine.CursorParameter: &req.Cursor} {
		if *field, err = take(values, name); err != nil {
			d.failed(w, r, user, err)
			return
		}
	}
	if err := noMore(values, quarantine.SourceParameter, quarantine.CursorParameter); err != nil {
		d.failed(w, r, user, err)
		return
	}
	if err := d.Auth.MaySeeQuarantine(r.Context(), user); err != nil {
		d.failed(w, r, user, err)
		return
	}
	list, err := quarantine.List(r.Context(), d.Store, req)
	if err != nil {
		d.failed(w, r, user, err)
		return
	}
	data := quarantineData{Path: quarantinePath, Source: req.Source, Later: req.Cursor != "", First: quarantineLink(req.Source, "")}
	for _, item := range list.Items {
		of := quarantineLink(item.Source, "")
		for _, text := range []*string{&item.Source, &item.Cluster, &item.Reason, &item.Content} {
			*text = escapeUnseen(*text)
		}
		data.Rows = append(data.Rows, heldItem{Item: item, Of: of})
	}
	if list.Next != "" {
		data.Next = quarantineLink(req.Source, list.Next)
	}
	d.render(w, r, http.StatusOK, "quarantine", page{Title: "Quarantine", User: user.Name, Place: inQuarantine, Data: data})
}

// quarantineWait is how long the page of a problem waits for whether its reader
// may see the quarantine.
const quarantineWait = time.Second

// maySeeQuarantine reports whether a reader may see the quarantine. Where the API
// server does not say so in time, it may not.
func (d *dashboard) maySeeQuarantine(r *http.Request, user auth.User) bool {
	if user.Name == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), quarantineWait)
	defer cancel()
	ctx, _ = auth.WithNote(ctx) // a link is no look at what it leads to
	return d.Auth.MaySeeQuarantine(ctx, user) == nil
}

func quarantineLink(source, cursor string) string {
	var params []parameter
	for _, p := range []parameter{{quarantine.SourceParameter, source}, {quarantine.CursorParameter, cursor}} {
		if p.Value != "" {
			params = append(params, p)
		}
	}
	return withQuery(quarantinePath, encode(params...))
}
