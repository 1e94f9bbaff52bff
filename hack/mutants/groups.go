package main

// userGroups: which groups an event had is kept as it was, for each of its identities.
var userGroups = []mutant{
	{
		name: "masters-go-among-many", file: "internal/audit/groups.go",
		old:      "	if i := slices.Index(groups, mastersGroup); i >= 0 {\n		take(i)\n	}\n",
		new:      "	_ = slices.Index(groups, mastersGroup)\n",
		packages: []string{"./internal/audit"}, tests: "TestLimitGroups",
	},
	{
		name: "groups-go-unnoticed", file: "internal/audit/groups.go",
		old:      "	c.cut = c.cut || cut\n",
		new:      "	_ = cut\n",
		packages: []string{"./internal/audit"}, tests: "TestGroups",
	},
	{
		name: "embedded-reads-one-group-as-two", file: "internal/store/embedded/groups.go",
		old:      "	if strings.ContainsAny(group, \"\\\\\\n\") {\n",
		new:      "	if strings.ContainsAny(group, \"\\\\\") {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/RoundTrip",
	},
	{
		name: "an-upgrade-makes-dry-runs-unknown", file: "internal/store/embedded/upgrade.go",
		old:      "		if table.hasBoolean {\n",
		new:      "		if table.hasBoolean || true {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestUpgradeOfGroups",
	},
	{
		name: "postgres-takes-groups-of-one-for-the-others", file: "internal/store/postgres/dictionary.go",
		old:      "		encoded = appendValues(binary.AppendUvarint(encoded, uint64(len(list))), list)\n",
		new:      "		encoded = appendValues(encoded, list)\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestKeysOfGroups",
	},
	{
		name: "embedded-hides-by-a-group-that-was-chosen", file: "internal/store/embedded/groups.go",
		old:      "	return \"(\" + effective + \" AND (acted_via = '' AND coalesce(acted_via_groups, '') = '' OR \" + authenticated + \"))\"\n",
		new:      "	return effective\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Groups",
	},
	{
		name: "embedded-finds-a-part-of-a-group", file: "internal/store/embedded/groups.go",
		old:      "c.bind(joinGroups([]string{store.Text(name)}))",
		new:      "c.bind(store.Text(name))",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Groups",
	},
	{
		name: "postgres-hides-by-a-group-that-was-chosen", file: "internal/store/postgres/fields.go",
		old:      "	return \"(\" + effective + \" AND (a.acted_via = '' AND a.acted_via_groups IS NULL OR \" + authenticated + \"))\"\n",
		new:      "	return effective\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Groups",
	},
	{
		name: "postgres-hides-what-has-no-groups", file: "internal/store/postgres/fields.go",
		old:      "\"coalesce(a.groups && \"+bound+\", FALSE)\"",
		new:      "\"(a.groups && \"+bound+\")\"",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Groups",
	},
}
