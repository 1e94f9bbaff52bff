package main

// faults breaks what is done about a database that lacks something, and about
// clocks that are wrong.
var faults = []mutant{
	{
		name: "quarantined-by-what-the-server-lacks", file: "internal/store/postgres/failure.go",
		old:      "		return failed.ConstraintName != \"\"\n",
		new:      "		return true\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestRefusedBySQLSTATE",
	},
	{
		name: "quarantined-where-nothing-is-taken", file: "internal/store/postgres/commit.go",
		old:      "control != nil {",
		new:      "control != nil && false {",
		packages: []string{"./internal/store/postgres"}, tests: "TestRefusedSchema",
	},
	{
		name: "lock-timeout-fails-a-commit", file: "internal/store/postgres/failure.go",
		old:      " || failed.Code == pgerrcode.LockNotAvailable || ",
		new:      " || ",
		packages: []string{"./internal/store/postgres"}, tests: "TestCommitWaitsForADay",
	},
	{
		name: "days-ahead-on-an-empty-database-only", file: "internal/store/postgres/maintain.go",
		old:      "WHERE audit_days.day = ahead::date)",
		new:      "WHERE audit_days.day = audit_days.day)",
		packages: []string{"./internal/store/postgres"}, tests: "TestMaintainMakesDaysAhead",
	},
	{
		name: "tls-where-the-server-offers-it", file: "internal/store/postgres/connect.go",
		old:      "\"?sslmode=verify-full\"",
		new:      "\"?sslmode=prefer\"",
		packages: []string{"./internal/store/postgres"}, tests: "TestTLSByDefault",
	},
	{
		name: "tls-where-the-server-offers-it-with-settings", file: "internal/store/postgres/connect.go",
		old:      "\"&sslmode=verify-full\"",
		new:      "\"&sslmode=prefer\"",
		packages: []string{"./internal/store/postgres"}, tests: "TestTLSByDefault",
	},
	{
		name: "poolers-that-swallow-settings", file: "internal/store/postgres/connect.go",
		old:      "	if err := checkSettings(ctx, conn); err != nil {\n",
		new:      "	if err := checkSettings(ctx, conn); err != nil && ctx.Err() != nil {\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestPooler",
	},
}
