package main

// page breaks what a person does at the pages, and who sees the quarantine.
var page = []mutant{
	{
		name: "press-of-the-mouse-shuts-menus", file: "internal/dashboard/assets/js/list.js",
		old:      "event => { if (!pressed) leave(event.target); }",
		new:      "event => { leave(event.target); }",
		packages: []string{"./internal/browsertest/journeys"}, tests: "TestOtherMenusByPointer",
	},
	{
		name: "count-takes-no-click", file: "internal/dashboard/assets/css/list.css",
		old:      ".row .in::after { content: \"\"; position: absolute; inset: 0; }\n",
		new:      "",
		packages: []string{"./internal/browsertest/journeys"}, tests: "TestMenusByPointer",
	},
	{
		name: "untouched-time-is-read-anew", file: "internal/dashboard/assets/js/page.js",
		old:      "field.dataset.time && field.value === field.dataset.written;",
		new:      "false;",
		packages: []string{"./internal/browsertest/journeys"}, tests: "TestRepeatedHour",
	},
	{
		name: "quarantine-page-asks-for-no-right", file: "internal/dashboard/quarantine.go",
		old:      "if err := d.Auth.MaySeeQuarantine(r.Context(), user); err != nil {",
		new:      "if err := error(nil); err != nil {",
		packages: []string{"./internal/dashboard"}, tests: "TestQuarantine$",
	},
	{
		name: "quarantine-api-asks-for-no-right", file: "internal/httpapi/quarantine.go",
		old:      "if err := a.Auth.MaySeeQuarantine(r.Context(), user); err != nil {",
		new:      "if err := error(nil); err != nil {",
		packages: []string{"./internal/httpapi"}, tests: "TestQuarantine$",
	},
	{
		name: "quarantine-opens-to-readers-of-events", file: "internal/auth/auth.go",
		old:      "		return fmt.Errorf(\"%w (%w)\", ErrQuarantine, err)\n",
		new:      "		if a.may(ctx, user.reviewOf(\"\")) == nil {\n			return nil\n		}\n		return fmt.Errorf(\"%w (%w)\", ErrQuarantine, err)\n",
		packages: []string{"./internal/httpapi"}, tests: "TestQuarantine$",
	},
	{
		name: "quarantine-shows-all-of-an-item", file: "internal/store/embedded/quarantine.go",
		old:      "redacted[1:%d]",
		new:      "redacted[1:%d+1000000]",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Quarantine$",
	},
	{
		name: "quarantine-of-other-clusters-counts", file: "internal/store/embedded/quarantine.go",
		old:      "cluster IN ('', \" + cond.bind(cluster) + \")\"",
		new:      "cluster <> \" + cond.bind(cluster+\"-\")",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/QuarantineOfWindow",
	},
	{
		name: "postgres-quarantine-of-other-clusters-counts", file: "internal/store/postgres/quarantine.go",
		old:      "AND cluster IN ('', @cluster)",
		new:      "AND cluster <> @cluster || '-'",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/QuarantineOfWindow",
	},
	{
		name: "quarantined-window-is-not-incomplete", file: "internal/snapshot/snapshot.go",
		old:      "	if quarantined > 0 {\n",
		new:      "	if quarantined < 0 {\n",
		packages: []string{"./internal/snapshot"}, tests: "TestCompleteness",
	},
	{
		name: "list-says-no-skew", file: "internal/dashboard/skew.go",
		old:      "ahead <= store.MaxSkewAhead",
		new:      "ahead <= 1000*store.MaxSkewAhead",
		packages: []string{"./internal/dashboard"}, tests: "TestListSaysSkew",
	},
	{
		name: "list-says-nothing-of-what-a-search-saw-in-part", file: "internal/dashboard/inpart.go",
		old:      "view.Matched == 0",
		new:      "view.Matched >= 0",
		packages: []string{"./internal/dashboard"}, tests: "TestListSaysSearchedInPart",
	},
}
