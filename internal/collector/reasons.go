package collector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Bounds of what the log says of one delivery: a reason may quote its source.
const (
	maxReasons    = 5
	maxReasonText = 200 // bytes
)

// reasons counts why items of a delivery could not become events.
type reasons struct {
	counts map[string]int
	others int // items of further reasons
}

func (r *reasons) add(reason string) {
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	if len(reason) > maxReasonText {
		reason = reason[:maxReasonText] + "…"
	}
	if _, known := r.counts[reason]; !known && len(r.counts) == maxReasons {
		r.others++
		return
	}
	r.counts[reason]++
}

// list returns the reasons with their counts, the most frequent first. Items
// that only the store refused, which says why in quarantine, are counted too.
func (r *reasons) list(quarantined int) []string {
	var out []string
	left := quarantined - r.others
	for _, reason := range slices.SortedFunc(maps.Keys(r.counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.counts[b], r.counts[a]), cmp.Compare(a, b))
	}) {
		out = append(out, fmt.Sprintf("%d: %s", r.counts[reason], reason))
		left -= r.counts[reason]
	}
	if r.others > 0 {
		out = append(out, fmt.Sprintf("%d: other reasons", r.others))
	}
	if left > 0 {
		out = append(out, fmt.Sprintf("%d: refused by the store, see the quarantine", left))
	}
	return out
}
