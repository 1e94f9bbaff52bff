package controllers

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
)

// settle is how long after the end of a window its final snapshot is taken: API
// servers deliver in batches, which wait up to 30 seconds by default.
const settle = 30 * time.Second

// decision is what a query asks for now. At most one of run, found, deleted and
// lost is set.
type decision struct {
	run     *store.Run      // to carry out
	found   *store.Manifest // what answers the query already
	next    time.Time       // when found, which is provisional, gives way to the final answer
	deleted bool            // somebody deleted what answered it
	lost    string          // ID of what answered it and is no longer in the store
}

// decide compares a query with its snapshots. It rests on what is durable alone,
// so that it comes to the same end after an interruption, in another process,
// and where somebody emptied the status.
func decide(q v1alpha1.Query, manifests []store.Manifest, now time.Time) decision {
	status := q.GetStatus()
	sortRuns(manifests)
	requested := annotation(q)
	if requested != "" && requested != status.LastHandledReconcileAt {
		// A request that was interrupted is the newest run, and not in the status yet.
		if len(manifests) > 0 && runOf(q, &manifests[0]) == (store.Run{Generation: q.GetGeneration(), Request: requested, Number: numberOf(&manifests[0])}) &&
			!names(status, manifests[0].ID) {
			return answered(q, manifests, 0, now)
		}
		return decision{run: nextRun(q, manifests, requested)}
	}
	if isAnswered(q) {
		switch latest := status.Snapshot; {
		case latest == nil && readyReason(q) == v1alpha1.ReasonSnapshotDeleted:
			return decision{deleted: true}
		case latest != nil && !holds(manifests, latest.ID):
			return decision{lost: latest.ID}
		}
	}
	at := slices.IndexFunc(manifests, func(m store.Manifest) bool { return runOf(q, &m).Generation == q.GetGeneration() })
	if at < 0 {
		return decision{run: nextRun(q, manifests, requestedAt(q))}
	}
	return answered(q, manifests, at, now)
}

// answered is the decision where a snapshot answers the query, unless it was
// taken before its window was over and the window is over now.
func answered(q v1alpha1.Query, manifests []store.Manifest, at int, now time.Time) decision {
	m := &manifests[at]
	// One without a key was taken when there were no final answers.
	if m.Run == nil || !m.To.After(m.TakenAt) {
		return decision{found: m}
	}
	due := m.To.Add(settle)
	if now.Before(due) {
		return decision{found: m, next: due}
	}
	return decision{run: nextRun(q, manifests, m.Run.Request)}
}

// isAnswered reports whether the status says that the present spec was dealt
// with, one way or the other.
func isAnswered(q v1alpha1.Query) bool {
	conditions := q.GetConditions()
	return q.GetStatus().ObservedGeneration == q.GetGeneration() &&
		meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition) != nil &&
		meta.FindStatusCondition(conditions, v1alpha1.ReconcilingCondition) == nil
}

func readyReason(q v1alpha1.Query) string {
	if ready := meta.FindStatusCondition(q.GetConditions(), v1alpha1.ReadyCondition); ready != nil {
		return ready.Reason
	}
	return ""
}

// runOf is the run that took a snapshot. One of before manifests had it is known
// by its ID, if it answers the query as it is now; else it is of no generation.
func runOf(q v1alpha1.Query, m *store.Manifest) store.Run {
	switch request := requestedAt(q); {
	case m.Run != nil:
		return *m.Run
	case m.ID == snapshot.LegacyID(string(q.GetUID()), q.GetGeneration(), request):
		return store.Run{Generation: q.GetGeneration(), Request: request}
	}
	return store.Run{Generation: -1}
}

func numberOf(m *store.Manifest) int64 {
	if m.Run == nil {
		return 0
	}
	return m.Run.Number
}

func nextRun(q v1alpha1.Query, manifests []store.Manifest, request string) *store.Run {
	run := store.Run{Generation: q.GetGeneration(), Request: request, Number: 1}
	for i := range manifests {
		run.Number = max(run.Number, numberOf(&manifests[i])+1)
	}
	return &run
}

// sortRuns sorts snapshots by their runs, the newest first: clocks may have been
// set back meanwhile.
func sortRuns(manifests []store.Manifest) {
	slices.SortFunc(manifests, func(a, b store.Manifest) int {
		return cmp.Or(cmp.Compare(numberOf(&b), numberOf(&a)), a.Position().Compare(b.Position()))
	})
}

// names reports whether a status names a snapshot.
func names(status *v1alpha1.AuditLogQueryStatus, id string) bool {
	return status.Snapshot != nil && status.Snapshot.ID == id ||
		slices.ContainsFunc(status.History, func(r v1alpha1.SnapshotReference) bool { return r.ID == id })
}

func holds(manifests []store.Manifest, id string) bool {
	return slices.ContainsFunc(manifests, func(m store.Manifest) bool { return m.ID == id })
}

// begins is when there can be an answer about a time range: one without an end
// may begin in the future. Zero is now.
func begins(r query.TimeRange, now time.Time) time.Time {
	if r.From.IsZero() || !r.To.IsZero() || r.From.Before(now) {
		return time.Time{}
	}
	return r.From.Add(settle)
}
