package controllers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Bounds of the status, the same as the schema's.
const (
	maxShareURL   = 8000 // bytes
	maxTypes      = 100  // in countsByResourceType
	maxTypesShown = 64   // characters of a print column
)

// describeTypes says which resource types a filter selects, briefly.
func describeTypes(f query.Filter) string {
	if len(f.ResourceTypes) == 0 {
		return "all"
	}
	for shown := len(f.ResourceTypes); ; shown-- {
		text := strings.Join(f.ResourceTypes[:shown], ",")
		if hidden := len(f.ResourceTypes) - shown; hidden > 0 {
			text += fmt.Sprintf(" +%d", hidden)
		}
		if len(text) <= maxTypesShown || shown == 1 {
			return text
		}
	}
}

var presetTexts = map[query.Preset]string{
	query.LastHour: "Last hour", query.Last24Hours: "Last 24 hours", query.Last7Days: "Last 7 days", query.Last30Days: "Last 30 days",
}

// describeWindow says which time range a filter selects, briefly.
func describeWindow(r query.TimeRange) string {
	moment := func(t time.Time) string {
		if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
			return t.Format(time.DateOnly)
		}
		return t.Format(time.RFC3339)
	}
	switch {
	case r.Duration != "":
		return "Last " + r.Duration
	case !r.From.IsZero() && r.To.IsZero():
		return "Since " + moment(r.From)
	case !r.From.IsZero():
		return moment(r.From) + " to " + moment(r.To)
	case r.Preset != "":
		return presetTexts[r.Preset]
	}
	return presetTexts[query.DefaultPreset]
}

func shareURL(dashboard string, f query.Filter) (string, error) {
	if dashboard == "" {
		return "", nil
	}
	address := query.ShareURL(dashboard, f)
	if len(address) > maxShareURL {
		return "", &stalledError{v1alpha1.ReasonShareURLTooLong, fmt.Sprintf(
			"The share URL would have %d bytes, and browsers and proxies refuse more than %d: use fewer values, or a trailing * for many.", len(address), maxShareURL)}
	}
	return address, nil
}

// fillSnapshots writes the kept snapshots into a status, the latest first.
func fillSnapshots(status *v1alpha1.AuditLogQueryStatus, dashboard string, kept []store.Manifest, preview []v1alpha1.EventPreview) {
	status.History = nil
	for _, m := range kept {
		status.History = append(status.History, referenceTo(m, dashboard))
	}
	m := kept[0]
	status.Snapshot = &v1alpha1.Snapshot{
		SnapshotReference: referenceTo(m, dashboard),
		AsOf:              metav1.NewMicroTime(m.AsOf), From: metav1.NewMicroTime(m.From), To: metav1.NewMicroTime(m.To),
		Stored: m.Stored, Truncated: m.Truncated, ManifestDigest: m.ManifestDigest,
		CountsByResourceType: mostFrequent(m.CountsByType, maxTypes), CountsByStatusClass: m.CountsByStatusClass,
		Preview: preview,
	}
}

func referenceTo(m store.Manifest, dashboard string) v1alpha1.SnapshotReference {
	address := ""
	if dashboard != "" {
		address = query.SnapshotURL(dashboard, m.ID, m.Namespace)
	}
	return v1alpha1.SnapshotReference{ID: m.ID, TakenAt: metav1.NewMicroTime(m.TakenAt), Matched: m.Matched, Digest: m.Digest, URL: address}
}

func mostFrequent(counts map[string]int64, n int) map[string]int64 {
	if len(counts) <= n {
		return counts
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	out := map[string]int64{}
	for _, name := range names[:n] {
		out[name] = counts[name]
	}
	return out
}

func previewOf(records []snapshot.Record) []v1alpha1.EventPreview {
	var out []v1alpha1.EventPreview
	for _, r := range records {
		p := v1alpha1.EventPreview{
			ID: r.ID, Time: metav1.NewMicroTime(r.OccurredAt.Time), StatusCode: int32(r.StatusCode),
			Actor: cut(r.Actor, v1alpha1.MaxPreviewText), Method: r.Method, ResourceType: cut(r.ResourceType, 63),
			Action: cut(r.Action, v1alpha1.MaxPreviewText), Cluster: cut(r.Cluster, 63), Namespace: cut(r.Namespace, 63),
			ResourceName: cut(r.ResourceName, v1alpha1.MaxPreviewText),
		}
		if len(r.IPs) > 0 {
			p.IP = cut(r.IPs[len(r.IPs)-1], 64)
		}
		out = append(out, p)
	}
	return out
}

// counts says how many events a snapshot found and holds.
func counts(matched, stored int64) string {
	switch {
	case matched == 0:
		return "no events matched"
	case matched == 1 && stored == 1:
		return "1 event matched, it is kept"
	case matched == stored:
		return fmt.Sprintf("%d events matched, all are kept", matched)
	}
	return fmt.Sprintf("%d events matched, the newest %d are kept", matched, stored)
}

func readyMessage(status *v1alpha1.AuditLogQueryStatus, dashboard string) string {
	text := counts(status.Snapshot.Matched, status.Snapshot.Stored)
	text = strings.ToUpper(text[:1]) + text[1:] + "."
	if dashboard == "" {
		text += " There is no share URL: the operator runs without --dashboard-url."
	}
	return text
}

var completeMessages = map[string]string{
	snapshot.Quarantined:     "About this time something arrived that could not be read as an event; it is in quarantine, and may be events that are missing.",
	snapshot.NotMeasured:     "Nobody measured whether events of the window are missing.",
	snapshot.WindowNotOver:   "The window is not over yet. The final snapshot is taken by itself when it is.",
	snapshot.BeyondRetention: "The window begins before the oldest events that the operator keeps.",
}

func setComplete(q v1alpha1.Query, m store.Manifest) {
	setCondition(q, v1alpha1.CompleteCondition, metav1.ConditionStatus(m.Complete), m.CompleteReason, completeMessages[m.CompleteReason])
}
