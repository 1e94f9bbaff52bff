package main

// wiring leaves out what the process tells its parts.
var wiring = []mutant{
	{
		name: "certificates-by-the-own-clock-alone", file: "intake.go",
		old:      ", Now: c.clock.earlier}",
		new:      "}",
		packages: []string{"."}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
	{
		name: "events-by-the-own-clock-alone", file: "main.go",
		old:      "openStore(ctx, o, cluster.clock.now, ",
		new:      "openStore(ctx, o, nil, ",
		packages: []string{"."}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
	{
		name: "platform-namespaces-that-nobody-heeds", file: "intake.go",
		old:      "audit.WithPlatformNamespaces(o.platform)",
		new:      "audit.WithPlatformNamespaces(audit.DefaultPlatformNamespaces())",
		packages: []string{"."}, tests: "TestIntakeIsToldClocksAndNamespaces",
	},
}
