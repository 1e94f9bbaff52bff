package main

// fields break what incident responders ask for: resource, audit ID, user agent.
var fields = []mutant{
	{
		name: "resource-without-its-group", file: "internal/query/resource.go",
		old:      "	case full != v:\n",
		new:      "	case full != v && open:\n",
		packages: []string{"./internal/query"}, tests: "TestGrouplessResources",
	},
	{
		name: "user-agents-in-full", file: "internal/query/literal.go",
		old:      "		patterns[i].Open = !strings.HasPrefix(v, literalMark)\n",
		new:      "		patterns[i].Open = strings.HasSuffix(v, \"*\")\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "user-agent-offered-as-a-beginning", file: "internal/query/fields.go",
		old:      ", special: anyText, means: beginnings}",
		new:      ", means: beginnings}",
		packages: []string{"./internal/query"}, tests: "TestLiteral",
	},
	{
		name: "duckdb-audit-ids-of-one-form", file: "internal/store/embedded/fields.go",
		old:      "		if uuid, ok := parseUUID(query.Exact(v)); ok {\n",
		new:      "		if uuid, ok := parseUUID(query.Exact(v)); ok && false {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "duckdb-excludes-of-cut-resources", file: "internal/store/embedded/fields.go",
		old:      "	if !include {\n		open += ",
		new:      "	if !include && open == \"\" {\n		open += ",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/(LongFacetValuesChosen|Generated)",
	},
	{
		name: "duckdb-cut-agents-are-whole", file: "internal/store/embedded/fields.go",
		old:      "\"user_agent\": audit.MaxUserAgent, ",
		new:      "",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "postgresql-audit-ids-that-are-null", file: "internal/store/postgres/fields.go",
		old:      "	match := \"r.audit_id IS NOT NULL AND \" + ",
		new:      "	match := ",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/(Generated|FacetValuesChosen)",
	},
	{
		name: "postgresql-excludes-of-cut-resources", file: "internal/store/postgres/fields.go",
		old:      "	if !include {\n		open += ",
		new:      "	if !include && open == \"\" {\n		open += ",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/(LongFacetValuesChosen|Generated)",
	},
	{
		name: "a-shell-is-not-in-the-group", file: "internal/audit/shell.go",
		old:      "\"console\", \"vnc\", \"usbredir\", \"vsock\", \"proxy\",\n",
		new:      "\"console\", \"vnc\", \"vsock\", \"proxy\",\n",
		packages: []string{"./internal/audit"}, tests: "TestShellSubresources",
	},
	{
		name: "form-forgets-audit-ids", file: "internal/dashboard/form.go",
		old:      "		if field.Spec == \"\" || slices.Contains(barMenus",
		new:      "		if field.Spec == \"\" || field.Uncounted || slices.Contains(barMenus",
		packages: []string{"./internal/dashboard"}, tests: "TestFiltersOfIncidents",
	},
}
