package main

// pages break what the tail, the list of snapshots and a saved query promise.
var pages = []mutant{
	{
		name: "snapshots-page-ignores-namespaces", file: "internal/dashboard/snapshots.go",
		old:      "snapshot.List(r.Context(), d.Store, scope, namespaces, before",
		new:      "snapshot.List(r.Context(), d.Store, scope, nil, before",
		packages: []string{"./internal/dashboard"}, tests: "TestSnapshotsPage$",
	},
	{
		name: "snapshots-skip-one", file: "internal/snapshot/list.go",
		old:      "				last := page.Manifests[n-1].Position()\n",
		new:      "				last := found[i].Position()\n",
		packages: []string{"./internal/snapshot"}, tests: "TestList$",
	},
	{
		name: "saved-query-of-every-cluster", file: "internal/query/crdconv/manifest.go",
		old:      "unsayable(f), ofOneCluster(f))\n",
		new:      "unsayable(f), ofOneCluster(f)[:0])\n",
		packages: []string{"./internal/query/crdconv"}, tests: "TestManifestsRefuse",
	},
	{
		name: "saved-query-of-excluded-namespaces", file: "internal/query/crdconv/manifest.go",
		old:      "return slices.Contains(f.Exclude.Namespaces, n) }), false",
		new:      "return false }), false",
		packages: []string{"./internal/query/crdconv"}, tests: "TestManifestsRefuse",
	},
	{
		name: "saved-query-of-the-whole-cluster", file: "internal/query/crdconv/manifest.go",
		old:      "	if len(limited) > 0 {\n		namespaces = limited\n",
		new:      "	if len(limited) > 1 {\n		namespaces = limited\n",
		packages: []string{"./internal/dashboard"}, tests: "TestSaveQueryPage",
	},
	{
		name: "old-page-is-as-complete-as-it-was", file: "internal/dashboard/list.go",
		old:      "snapshot.Completeness(a.Window, now, d.Retention, view.Quarantined)",
		new:      "snapshot.Completeness(a.Window, a.Window.To, d.Retention, view.Quarantined)",
		packages: []string{"./internal/dashboard"}, tests: "TestLaterPages",
	},
	{
		name: "tail-page-asks-for-no-rights", file: "internal/dashboard/tail.go",
		old:      "	scope, err := d.Auth.Scope(r.Context(), user, filter.Namespaces...)\n",
		new:      "	scope, err := query.ClusterWide(), error(nil)\n",
		packages: []string{"./internal/dashboard"}, tests: "TestTailPage",
	},
	{
		name: "refused-tail-loads-again", file: "internal/dashboard/assets/js/tail.js",
		old:      "        over(\"refused\", ",
		new:      "        location.reload(); void (\"refused\", ",
		packages: []string{"./internal/dashboard"}, tests: "TestTailThatCanNotGoOn",
	},
	{
		name: "position-as-long-as-what-it-says", file: "internal/store/position/position.go",
		old:      "return (2 + length + step - 1) / step * step",
		new:      "return 2 + length",
		packages: []string{"./internal/store/position"},
	},
	{
		name: "position-grows-with-the-store", file: "internal/store/embedded/tail.go",
		old:      "p.written(dayOf(tail.AsOf) + 1)",
		new:      "p.written(0)",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/TailScope",
	},
	{
		name: "tail-passes-old-days-by", file: "internal/store/embedded/position.go",
		old:      "	if digestOf(now, w.since, w.first) != w.older {\n",
		new:      "	if digestOf(now, w.since, w.first) == ([8]byte{}) && w.older != ([8]byte{}) {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestWrittenPosition",
	},
	{
		name: "position-tells-that-nothing-came", file: "internal/store/postgres/tail.go",
		old:      "tail.Next, tail.More = codec.Seal(after.encode()), after != newest",
		new:      "tail.Next, tail.More = req.After, after != newest",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Tail$",
	},
	{
		name: "page-of-too-few-hours", file: "internal/store/embedded/read.go",
		old:      "		if req.After == nil || !end.After(req.After.OccurredAt) {\n",
		new:      "		if true {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "literal-namespace-lists-nothing", file: "internal/snapshot/list.go",
		old:      "	namespaces = query.Canonical(string(query.ByNamespace), namespaces)\n",
		new:      "",
		packages: []string{"./internal/snapshot"}, tests: "TestList$",
	},
	{
		name: "long-filter-is-cut-without-a-word", file: "internal/dashboard/snapshot.go",
		old:      "	return out, len(all) - len(out)\n",
		new:      "	return out, 0\n",
		packages: []string{"./internal/dashboard"}, tests: "TestSnapshotOfLongFilter",
	},
}
