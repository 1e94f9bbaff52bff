package main

// space breaks what bounds snapshots, and what tells runs and orphans apart.
var space = []mutant{
	{
		name: "no-quota-of-a-namespace", file: "internal/store/space.go",
		old:      "usage.Namespace > q.PerNamespace:",
		new:      "usage.Namespace < 0:",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/SnapshotQuota",
	},
	{
		name: "no-tenth-for-cluster-queries", file: "internal/store/space.go",
		old:      "usage.Namespaced > q.Whole-q.Whole/clusterWidePart:",
		new:      "usage.Namespaced > q.Whole:",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/SnapshotQuota",
	},
	{
		name: "snapshots-take-the-reserve", file: "internal/store/embedded/snapshotspace.go",
		old:      "	if free <= s.reserve {",
		new:      "	if free == 0 {",
		packages: []string{"./internal/store/embedded"}, tests: "TestIngestReserve",
	},
	{
		name: "deleted-bodies-take-nothing", file: "internal/store/postgres/snapshotspace.go",
		old:      " UNION ALL SELECT cluster, namespace, bytes FROM audit_loose_bodies) AS kept`",
		new:      ") AS kept`",
		packages: []string{"./internal/store/postgres"}, tests: "TestDeletedSnapshotsCount",
	},
	{
		name: "same-request-is-no-request", file: "controllers/query_run.go",
		old:      "			!names(status, manifests[0].ID) {",
		new:      "			true {",
		packages: []string{"./controllers"}, tests: "TestDecide",
	},
	{
		name: "one-namespace-takes-all-turns", file: "controllers/query_turns.go",
		old:      "	if t.running[r.Namespace] >= t.most {",
		new:      "	if t.running[r.Namespace] < 0 {",
		packages: []string{"./controllers"}, tests: "TestTurnsOfANamespace",
	},
	{
		name: "orphans-after-a-restore", file: "controllers/query_orphans.go",
		old:      "		if owners[string(uid)] != nil && !created.After(of.newest) {",
		new:      "		if owners[string(uid)] != nil || created.IsZero() {",
		packages: []string{"./controllers"}, tests: "TestOrphansThatStay",
	},
	{
		name: "anybody-deletes-snapshots", file: "internal/httpapi/snapshots.go",
		old:      "	if err := a.Auth.MayDeleteSnapshot(r.Context(), user, m.Cluster, m.Namespace); err != nil {",
		new:      "	if err := r.Context().Err(); err != nil {",
		packages: []string{"./internal/httpapi"}, tests: "TestDeleteSnapshot",
	},
}
