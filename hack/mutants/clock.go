package main

// clocks are ways to lose events, or days of them, by a clock that is wrong, and
// to be silent about one.
var clocks = []mutant{
	{
		name: "clock-without-a-witness", file: "internal/store/intake/clock.go",
		old:      "apart(now, witness) > ClockTolerance",
		new:      "apart(now, witness) < 0",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndWitness",
	},
	{
		name: "clock-jumps-unseen", file: "internal/store/intake/clock.go",
		old:      "apart(now, expected) > ClockTolerance",
		new:      "apart(now, expected) < 0",
		packages: []string{"./internal/store/intake"}, tests: "TestClockJumps",
	},
	{
		name: "clock-behind-what-is-stored", file: "internal/store/intake/clock.go",
		old:      "now.Before(c.anchor.Add(-ClockTolerance)):",
		new:      "false:",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndStored",
	},
	{
		name: "any-pause-is-believed", file: "internal/store/intake/clock.go",
		old:      "now.After(c.anchor.Add(LongestPause)):",
		new:      "false:",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndStored",
	},
	{
		name: "old-arrivals-confirm-the-clock", file: "internal/store/intake/clock.go",
		old:      "stageAt.After(now.Add(-freshArrival)) && ",
		new:      "",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndArrivals",
	},
	{
		name: "arrivals-ahead-confirm-the-clock", file: "internal/store/intake/clock.go",
		old:      " && !stageAt.After(now.Add(ClockTolerance))",
		new:      "",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndArrivals",
	},
	{
		name: "own-records-confirm-the-clock", file: "internal/store/intake/clock.go",
		old:      " && batch.Source != audit.OwnSource",
		new:      "",
		packages: []string{"./internal/store/intake"}, tests: "TestClockAndStored",
	},
	{
		name: "quarantined-while-in-doubt", file: "internal/store/intake/clock.go",
		old:      "\tif doubt == nil {\n",
		new:      "\tif !now.IsZero() {\n",
		packages: []string{"./internal/store/intake"}, tests: "TestClock",
	},
	{
		name: "quarantined-by-the-best-guess", file: "internal/store/intake/clock.go",
		old:      "best.IsZero() || anyOutside(batch.Events, best, retention)",
		new:      "best.IsZero()",
		packages: []string{"./internal/store/intake"}, tests: "TestClockJumps",
	},
	{
		name: "days-go-while-in-doubt", file: "internal/store/retention/retention.go",
		old:      "\tcase p.Doubt != \"\":\n\t\treturn fmt.Errorf(\"the operator's clock is in doubt: %s\", p.Doubt)\n",
		new:      "",
		packages: []string{"./internal/store/retention"}, tests: "TestPassInDoubt",
	},
	{
		name: "any-number-of-days-goes", file: "internal/store/retention/retention.go",
		old:      "\tcase len(p.Days) > MaxDays:\n",
		new:      "\tcase len(p.Days) > 1000:\n",
		packages: []string{"./internal/store/retention"}, tests: "TestConfirmed|TestPassIsBounded",
	},
	{
		name: "days-go-at-each-look", file: "internal/store/retention/retention.go",
		old:      "recent+len(p.Days) > MaxDays",
		new:      "recent > 1000",
		packages: []string{"./internal/store/retention"}, tests: "TestPassIsBounded",
	},
	{
		name: "skew-of-what-comes-late", file: "internal/store/intake/skew.go",
		old:      "known.lag, known.since = min(known.lag, lag), batch",
		new:      "known.lag, known.since = lag, batch",
		packages: []string{"./internal/store/intake"}, tests: "TestSkews",
	},
	{
		name: "skew-forgets-at-half-time", file: "internal/store/intake/skew.go",
		old:      "\t\treturn min(k.lag, k.lagBefore)\n",
		new:      "\t\treturn k.lag\n",
		packages: []string{"./internal/store/intake"}, tests: "TestSkews",
	},
	{
		name: "skew-for-ever", file: "internal/store/intake/skew.go",
		old:      "known.lagBefore, known.hasBefore, known.lag = batch.ReceivedAt, known.lag, true, lag",
		new:      "known.lagBefore, known.hasBefore, known.lag = batch.ReceivedAt, known.least(), true, lag",
		packages: []string{"./internal/store/intake"}, tests: "TestSkews",
	},
	{
		name: "skew-of-silent-sources", file: "internal/store/intake/skew.go",
		old:      "\t\t\tdelete(s.sources, name)\n\t\t\tcontinue\n",
		new:      "\t\t\tdelete(s.sources, \"\")\n",
		packages: []string{"./internal/store/intake"}, tests: "TestSkews",
	},
	{
		name: "skew-of-own-records", file: "internal/store/intake/skew.go",
		old:      " || batch.Source == audit.OwnSource",
		new:      " || batch.Source == audit.OwnSource+\".\"",
		packages: []string{"./internal/store/intake"}, tests: "TestSkews",
	},
}
