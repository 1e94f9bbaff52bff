package main

// operator breaks the controllers, snapshots, the copy, and how the process begins and ends.
var operator = []mutant{
	{
		name: "digest-over-unsorted-keys", file: "internal/snapshot/record.go",
		old:      "	ActedVia       string       `json:\"actedVia,omitzero\"`\n	ActedViaGroups []string     `json:\"actedViaGroups,omitempty\"`\n",
		new:      "	ActedViaGroups []string     `json:\"actedViaGroups,omitempty\"`\n	ActedVia       string       `json:\"actedVia,omitzero\"`\n",
		packages: []string{"./internal/snapshot"},
	},
	{
		name: "status-written-unchanged", file: "controllers/statuswriter.go",
		old:      "	if equality.Semantic.DeepEqual(w.written, o) {\n",
		new:      "	if equality.Semantic.DeepEqual(w.written, nil) {\n",
		packages: []string{"./controllers"},
	},
	{
		name: "snapshot-replaced-silently", file: "controllers/query_run.go",
		old:      "			return decision{lost: latest.ID}\n",
		new:      "			_ = latest\n",
		packages: []string{"./controllers"}, tests: "TestDecide|TestLostSnapshot",
	},
	{
		name: "namespaced-query-sees-everything", file: "controllers/query_controller.go",
		old:      "	return query.SinceCreation(r.ClusterName, query.Namespace{Name: q.GetNamespace(), Since: since}), now, nil\n",
		new:      "	return query.ClusterWide(), now, nil\n",
		packages: []string{"./controllers"},
	},
	{
		name: "end-cuts-deliveries", file: "internal/manager/serve.go",
		old:      "	err := server.Shutdown(ending)\n",
		new:      "	_ = ending\n	err := server.Close()\n",
		packages: []string{"./test/process"},
	},
	{
		name: "probes-end-before-deliveries", file: "internal/manager/manager.go",
		old:      "	group.Go(func() error { return mgr.Start(managed) })\n",
		new:      "	_ = managed\n	group.Go(func() error { return mgr.Start(ctx) })\n",
		packages: []string{"./test/process"},
	},
	{
		name: "conflict-keeps-credentials", file: "controllers/follow.go",
		old:      "	if err != nil && !errors.Is(err, credentials.ErrNotIssued) && !errors.Is(err, credentials.ErrConflict) {\n",
		new:      "	if err != nil {\n",
		packages: []string{"./controllers"},
	},
	{
		name: "requests-outlive-the-drain", file: "internal/manager/serve.go",
		old:      "		return server.Close()\n",
		new:      "		return nil\n",
		packages: []string{"./internal/manager", "./test/process"},
	},
	{
		name: "every-replica-leads", file: "internal/manager/leader.go",
		old:      "	if !l.store.shared {\n",
		new:      "	if true {\n",
		packages: []string{"./test/process"},
		tests:    "TestReplicasAreOne",
	},
	{
		name: "replica-ends-with-its-lease", file: "internal/manager/leader.go",
		old:      "		l.log.Error(err, \"Lost the leader lease; retrying\")\n",
		new:      "		return err\n",
		packages: []string{"./test/process"},
		tests:    "TestReplicaWithoutAPIServer",
	},
	{
		name: "lease-not-given-back", file: "internal/manager/leader.go",
		old:      "		LeaderElectionReleaseOnCancel:       true,\n",
		new:      "",
		packages: []string{"./test/process"},
		tests:    "TestReplicaTakesOver",
	},
	{
		name: "followers-do-not-follow", file: "internal/manager/manager.go",
		old:      "	if err := controllers.Follow(mgr, options); err != nil {\n",
		new:      "	if err := error(nil); err != nil {\n",
		packages: []string{"./test/process"},
		tests:    "TestReplicasAreOne",
	},
	{
		name: "end-waits-for-the-api-server", file: "internal/manager/kube.go",
		old:      "	return cancellableCache{filled}, err\n",
		new:      "	return filled, err\n",
		packages: []string{"./internal/manager"},
		tests:    "TestCacheEnds",
	},
	{
		name: "copy-of-damaged-raws", file: "internal/transfer/page.go",
		old:      "	if damage == nil && len(e.Raw) > 0 && sha256.Sum256(e.Raw) != e.RawSHA256 {\n",
		new:      "	if damage == nil && len(e.Raw) < 0 && sha256.Sum256(e.Raw) != e.RawSHA256 {\n",
		packages: []string{"./internal/transfer"},
		tests:    "Damaged",
	},
}
