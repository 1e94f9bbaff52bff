package main

// meaning: what is said of a request must not be what its client pretends, and what was
// taken out of an event must not be guessed from the rest.
var meaning = []mutant{
	{
		name: "deletes-are-real", file: "internal/audit/dryrun.go",
		old:      "		return DryRunUnknown\n	case \"create\":\n",
		new:      "		return DryRunFalse\n	case \"create\":\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "the-query-says-what-a-delete-is", file: "internal/audit/dryrun.go",
		old:      "		case !isEmptyValue(w.RequestObject):\n			return dryRunOf(w.RequestObject)\n",
		new:      "		case false:\n			return dryRunOf(w.RequestObject)\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "embedded-hides-what-may-be-real", file: "internal/store/embedded/where.go",
		old:      "false: \" <> \"}[*f.DryRun]",
		new:      "false: \" <> 2 AND dry_run <> \"}[*f.DryRun]",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Generated",
	},
	{
		name: "postgres-hides-what-may-be-real", file: "internal/store/postgres/where.go",
		old:      "k.dry_run IS NOT TRUE",
		new:      "k.dry_run IS FALSE",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Generated",
	},
	{
		name: "identities-are-not-keyed", file: "internal/audit/identity.go",
		old:      "p.mac = p.key.hasher()",
		new:      "p.mac = Key{}.hasher()",
		packages: []string{"./internal/audit"},
	},
	{
		name: "quarantined-hashes-are-not-keyed", file: "internal/audit/scan.go",
		old:      "		sum = key.hasher()\n",
		new:      "		sum = Key{}.hasher()\n",
		packages: []string{"./internal/audit"},
	},
}
