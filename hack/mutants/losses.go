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
}
