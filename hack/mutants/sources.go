package main

// sources let a source speak for others, and break what tells who spoke.
var sources = []mutant{
	{
		name: "nothing-is-foreign", file: "internal/audit/row.go",
		old:      "	event.Foreign = foreign(d.APIGroups, w, event)\n",
		new:      "",
		packages: []string{"./internal/audit"}, tests: "TestForeign",
	},
	{
		name: "foreign-by-the-path-alone", file: "internal/audit/foreign.go",
		old:      "	case w.ObjectRef != nil && !slices.Contains(groups, w.ObjectRef.APIGroup):\n",
		new:      "	case false:\n",
		packages: []string{"./internal/audit"}, tests: "TestForeign",
	},
	{
		name: "foreign-by-the-reference-alone", file: "internal/audit/foreign.go",
		old:      "		return !slices.Contains(groups, group)\n",
		new:      "		return w.ObjectRef == nil && !slices.Contains(groups, group)\n",
		packages: []string{"./internal/audit"}, tests: "TestForeign",
	},
	{
		name: "any-source-is-the-operator", file: "internal/audit/row.go",
		old:      "	if event.Client == ClientOperator && len(d.APIGroups) > 0 {\n",
		new:      "	if false {\n",
		packages: []string{"./internal/audit"}, tests: "TestOperatorByName",
	},
	{
		name: "groups-stay-in-the-spec", file: "controllers/follow.go",
		old:      ", APIGroups: slices.Clone(s.Spec.APIGroups)}",
		new:      ", APIGroups: slices.Clone([]string(nil))}",
		packages: []string{"./controllers"}, tests: "TestAcceptedSource",
	},
	{
		name: "groups-stay-in-the-collector", file: "internal/collector/collector.go",
		old:      "APIGroups: source.APIGroups, ",
		new:      "",
		packages: []string{"./internal/collector"}, tests: "TestForeign",
	},
	{
		name: "foreign-in-a-namespace", file: "internal/store/embedded/where.go",
		old:      "	c.and(\"NOT is_foreign\")\n",
		new:      "",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Foreign",
	},
	{
		name: "foreign-in-a-namespace-of-postgresql", file: "internal/store/postgres/where.go",
		old:      ", \"NOT p.is_foreign\")\n",
		new:      ")\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Foreign",
	},
	{
		name: "one-place-for-true-and-foreign", file: "internal/store/postgres/dictionary.go",
		old:      "		if mark := definitions[i].mark; mark != nil && mark(e) {\n",
		new:      "		if false {\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Foreign",
	},
	{
		name: "any-key-for-a-store-with-events", file: "internal/store/embedded/key.go",
		old:      "			return store.ErrOtherKey\n",
		new:      "			continue\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestHoldings/Key",
	},
	{
		name: "a-copy-without-the-key", file: "internal/transfer/transfer.go",
		old:      "{c.copyKey, ",
		new:      "{",
		packages: []string{"./internal/transfer"}, tests: "TestOtherKey",
	},
	{
		name: "no-upgrade-of-old-days", file: "internal/store/embedded/open.go",
		old:      "	if err := s.upgrade(ctx, was); err != nil {\n		return nil, err\n	}\n",
		new:      "",
		packages: []string{"./internal/store/embedded"}, tests: "TestUpgrade",
	},
	{
		name: "sources-narrow-nothing", file: "internal/query/crdconv/crdconv.go",
		old:      "if field.Spec == \"\" {\n			continue\n		}\n		for i, v",
		new:      "if field.Spec == \"\" || field.Name == \"source\" {\n			delete(lists, field.Spec)\n			continue\n		}\n		for i, v",
		packages: []string{"./internal/query/crdconv"},
	},
	{
		name: "excludes-of-cut-texts", file: "internal/store/embedded/fields.go",
		old:      "		whole = \" AND NOT \" + isCut(column)\n",
		new:      "		whole = \"\"\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "excludes-of-cut-texts-in-postgresql", file: "internal/store/postgres/fields.go",
		old:      "		whole = \" AND NOT \" + isCut(column)\n",
		new:      "		whole = \"\"\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Generated",
	},
}
