package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

const (
	fewBuckets  = 120  // of a histogram whose width is chosen here
	mostBuckets = 5000 // of one whose width is given
)

// histogramAnswer counts events by time. Buckets without events are left out.
type histogramAnswer struct {
	Width   string   `json:"width"`
	Buckets []bucket `json:"buckets"`
	about
	Matched int64 `json:"matched"`
}

// bucket counts the events from its start to the width later.
type bucket struct {
	Start time.Time `json:"start"`
	Count int64     `json:"count"`
}

func (a *api) histogram(w http.ResponseWriter, r *http.Request, user auth.User) error {
	p, err := parametersOf(r)
	if err != nil {
		return err
	}
	given, q := p.text("width"), p.question(a.Now())
	width := p.width(given, q.Window.To.Sub(q.Window.From))
	if err := p.err(); err != nil {
		return err
	}
	view, err := a.view(r, user, q, store.ViewRequest{HistogramWidth: width, Count: true})
	if err != nil {
		return err
	}
	answer := histogramAnswer{Width: formatWidth(width), Buckets: []bucket{}, about: a.about(q, view.AsOf, view.Quarantined), Matched: view.Matched}
	for _, b := range view.Histogram {
		answer.Buckets = append(answer.Buckets, bucket{Start: b.Start.UTC(), Count: b.Count})
	}
	return send(w, answer)
}

// width reads a histogram's width, or chooses one that suits the length.
func (p *parameters) width(given string, length time.Duration) time.Duration {
	most := fewBuckets
	if given != "" {
		most = mostBuckets
	}
	narrowest := narrowestWidth(length, most)
	if given == "" {
		return narrowest
	}
	var names []string
	for _, width := range store.HistogramWidths {
		name := formatWidth(width)
		if name == given && width < narrowest {
			p.wrong("width", given, fmt.Sprintf("makes more than %d buckets of this time range; use %s or wider", mostBuckets, formatWidth(narrowest)))
		}
		if name == given {
			return width
		}
		names = append(names, name)
	}
	p.wrong("width", query.Shorten(given), "is no width; use one of "+strings.Join(names, ", "))
	return 0
}

// narrowestWidth returns the narrowest width that makes no more buckets of a
// length than most, or the widest there is.
func narrowestWidth(length time.Duration, most int) time.Duration {
	for _, width := range store.HistogramWidths {
		if length <= width*time.Duration(most-1) { // the first and the last may be cut
			return width
		}
	}
	return store.HistogramWidths[len(store.HistogramWidths)-1]
}

// formatWidth writes a width as one number and one unit, like 15m.
func formatWidth(width time.Duration) string {
	switch {
	case width%time.Hour == 0:
		return fmt.Sprintf("%dh", width/time.Hour)
	case width%time.Minute == 0:
		return fmt.Sprintf("%dm", width/time.Minute)
	}
	return fmt.Sprintf("%ds", width/time.Second)
}
