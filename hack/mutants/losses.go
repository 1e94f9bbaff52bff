package main

// losses hides what was lost, or is about to be.
var losses = []mutant{
	{
		name: "torn-log-untold", file: "internal/store/embedded/database.go",
		old:      "	db.torn = torn\n",
		new:      "	db.torn = torn && false\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestTornLogIsTold",
	},
	{
		name: "cut-events-uncounted", file: "internal/store/embedded/torn.go",
		old:      "	events := countEvents(path, from, countedTail)\n",
		new:      "	events := int64(0)\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestTornLogIsTold",
	},
	{
		name: "authority-ends", file: "internal/credentials/renewal.go",
		old:      "NotAfter.Add(-2*authorityOverlap)) || asked",
		new:      "NotAfter) || asked",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "old-authority-not-believed", file: "internal/credentials/renewal.go",
		old:      "{a.next, a.previous} {",
		new:      "{a.next} {",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "authority-switches-at-once", file: "internal/credentials/renewal.go",
		old:      "a.next.made().Add(authorityOverlap)",
		new:      "a.next.made()",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
	{
		name: "renewal-revokes", file: "internal/credentials/source.go",
		old:      "		name = certificate.Subject.CommonName\n",
		new:      "",
		packages: []string{"./internal/credentials"}, tests: "TestAuthorityIsRenewed",
	},
}
