package main

// wiring leaves out what the process tells its parts.
var wiring = []mutant{
	{
		name: "certificates-by-the-own-clock-alone", file: "internal/manager/ingest.go",
		old:      ", Now: c.clock.earlier}",
		new:      "}",
		packages: []string{"./test/process"}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
	{
		name: "events-by-the-own-clock-alone", file: "internal/manager/manager.go",
		old:      "openStore(ctx, o, kube.clock.now, ",
		new:      "openStore(ctx, o, nil, ",
		packages: []string{"./test/process"}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
	{
		name: "platform-namespaces-that-nobody-heeds", file: "internal/manager/ingest.go",
		old:      "audit.WithPlatformNamespaces(o.platform)",
		new:      "audit.WithPlatformNamespaces(audit.DefaultPlatformNamespaces())",
		packages: []string{"./test/process"}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
}
