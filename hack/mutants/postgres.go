package main

// postgres breaks what the store in PostgreSQL promises.
var postgres = []mutant{
	{
		name: "tail-loses-moved-rows", file: "internal/store/postgres/tail.go",
		old:      "bool { return len(a.rows) >= a.Count })",
		new:      "bool { return true })",
		packages: []string{"./internal/store/postgres"}, tests: "TestTail",
	},
	{
		name: "tail-without-an-order", file: "internal/store/postgres/arrivals.go",
		old:      "err != nil || !unordered {",
		new:      "err != nil || !unordered || p.seq > 0 {",
		packages: []string{"./internal/store/postgres"}, tests: "TestTailOfHeld",
	},
	{
		name: "commit-without-its-standby", file: "internal/store/postgres/connect.go",
		old:      "	conn.OnNotice = noteUnreplicated\n",
		new:      "",
		packages: []string{"./internal/store/postgres"},
	},
	{
		name: "driver-tells-the-password", file: "internal/store/postgres/connect.go",
		old:      "		return nil, malformed(err)\n",
		new:      "		return nil, err\n",
		packages: []string{"./internal/store/postgres"},
	},
	{
		name: "ready-without-a-commit", file: "internal/store/postgres/ready.go",
		old:      "	batch.Queue(logSign)\n",
		new:      "",
		packages: []string{"./internal/store/postgres"},
	},
	{
		name: "committers-wait-for-readers", file: "internal/store/postgres/connect.go",
		old:      "	return pgx.ConnectConfig(ctx, config.ConnConfig)\n",
		new:      "	pooled, err := pool.Acquire(ctx)\n	if err != nil {\n		return nil, err\n	}\n	return pooled.Hijack(), nil\n",
		packages: []string{"./internal/store/postgres"},
	},
	{
		name: "commit-answered-before-it-is-one", file: "internal/store/postgres/commit.go",
		old:      "	err := s.tryCommit(w, group)\n	if err != nil && time",
		new:      "	s.answer(group, nil)\n	err := s.tryCommit(w, group)\n	if true {\n		return\n	}\n	if err != nil && time",
		packages: []string{"./hack/torture"}, tests: "TestPostgresKill",
	},
	{
		name: "lost-answer-to-a-commit-is-success", file: "internal/store/postgres/ingest.go",
		old:      "	if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {\n		return fmt.Errorf(\"commit: ",
		new:      "	if err := w.conn.SendBatch(ctx, batch).Close(); err != nil && !w.conn.IsClosed() {\n		return fmt.Errorf(\"commit: ",
		packages: []string{"./hack/torture"}, tests: "TestPostgres(Kill|Cut)$",
	},
	{
		name: "commit-in-memory-alone", file: "internal/store/postgres/connect.go",
		old:      "		given[\"synchronous_commit\"] = \"on\"\n",
		new:      "		given[\"synchronous_commit\"] = \"off\"\n",
		packages: []string{"./hack/torture"}, tests: "TestPostgresKill",
	},
	{
		name: "duplicates-count-in-roll-ups", file: "internal/store/postgres/plan.go",
		old:      "		if r.stored {\n			hour",
		new:      "		if true {\n			hour",
		packages: []string{"./hack/torture"}, tests: "TestPostgresSameBatch",
	},
	{
		name: "deliveries-wait-behind-what-hangs", file: "internal/store/postgres/commit.go",
		old:      "		group = append(group, s.queue.TakeAll()...)\n",
		new:      "		_ = s.queue.takeAll\n",
		packages: []string{"./hack/torture"}, tests: "TestPostgresStandbyAway",
	},
	{
		name: "no-scope-in-postgresql", file: "internal/store/postgres/where.go",
		old:      "	if scope.IsClusterWide() {\n",
		new:      "	if true {\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore$",
	},
	{
		name: "counts-wait-for-the-leader", file: "internal/store/postgres/rollup.go",
		old:      "		n.queueDeltas(batch, part, counted)\n",
		new:      "		_ = n.queueDeltas\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestCounts",
	},
	{
		name: "counts-of-hours-that-are-not-asked-for", file: "internal/store/postgres/rollup.go",
		old:      "			counted[e.From.Truncate(time.Hour)] += e.sign * matched\n",
		new:      "			counted[e.From.Truncate(time.Hour)] += max(0, e.sign*matched)\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestCounts",
	},
	{
		name: "counts-of-what-is-left-out", file: "internal/store/postgres/rollup.go",
		old:      "{r, -1, m.others}}",
		new:      "{r, 0, m.others}}",
		packages: []string{"./internal/store/postgres"}, tests: "TestCounts",
	},
	{
		name: "pages-end-with-the-budget", file: "internal/store/postgres/page.go",
		old:      "	if !find.full() {\n",
		new:      "	if len(find.events) == 0 {\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestPageBeyondBudget",
	},
	{
		name: "standby-that-is-behind", file: "internal/store/postgres/standby.go",
		old:      "		case reached:\n",
		new:      "		case reached || true:\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStandby",
	},
	{
		name: "standby-of-another-timeline", file: "internal/store/postgres/standby.go",
		old:      "		case got.timeline != want.timeline:\n",
		new:      "		case got.timeline < 0:\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStandby",
	},
	{
		name: "operator-may-change-events", file: "internal/store/postgres/roles/operator.sql",
		old:      "GRANT SELECT, INSERT ON audit_rows, audit_raw TO",
		new:      "GRANT SELECT, INSERT, UPDATE ON audit_rows, audit_raw TO",
		packages: []string{"./internal/store/postgres"},
		tests:    "Grant",
	},
	{
		name: "copied-events-ingested-now", file: "internal/store/postgres/commit.go",
		old:      "			ingestedAt = r.event.IngestedAt\n",
		new:      "			ingestedAt = p.ingestedAt\n",
		packages: []string{"./internal/store/postgres"},
		tests:    "TestHoldings",
	},
	{
		name: "deleted-snapshot-cut-off", file: "internal/store/postgres/snapshotbody.go",
		old:      "since < now() - $1::interval",
		new:      "since <= now() + $1::interval",
		packages: []string{"./internal/store/postgres"},
		tests:    "TestSnapshotRead",
	},
}
