package main

// admission breaks the turns that reads take.
var admission = []mutant{
	{
		name: "one-caller-takes-all-places", file: "internal/admission/gate.go",
		old:      "		if l.running >= g.each {\n",
		new:      "		if l.running >= g.atOnce {\n",
		packages: []string{"./internal/admission"},
	},
	{
		name: "queries-take-all-places", file: "internal/admission/gate.go",
		old:      "if t.kind != Queries || g.running[Queries] < g.queries {",
		new:      "if t.kind != Queries || g.running[Queries] < g.atOnce {",
		packages: []string{"./internal/admission"},
	},
	{
		name: "no-turns", file: "internal/admission/gate.go",
		old:      "			g.turns = append(slices.Delete(g.turns, i, i+1), t.line)\n",
		new:      "			_ = i\n",
		packages: []string{"./internal/admission"}, tests: "TestTurns",
	},
	{
		name: "endless-line", file: "internal/admission/gate.go",
		old:      "	if len(mine.waiting) >= WaitingEach {\n",
		new:      "	if len(mine.waiting) >= WaitingMost {\n",
		packages: []string{"./internal/admission"}, tests: "TestQueueIsBounded",
	},
	{
		name: "the-first-fill-the-queue", file: "internal/admission/gate.go",
		old:      "		if len(longest.waiting) <= len(mine.waiting)+1 {\n",
		new:      "		if len(longest.waiting) > 0 {\n",
		packages: []string{"./internal/admission"}, tests: "TestQueueIsBounded",
	},
	{
		name: "service-accounts-are-callers-each", file: "internal/admission/caller.go",
		old:      "			return Caller{People, ofNamespace + namespace}\n",
		new:      "			return Caller{People, ofUser + name + namespace[:0]}\n",
		packages: []string{"./internal/admission"}, tests: "TestCallers",
	},
	{
		name: "facets-pass-without-a-turn", file: "internal/admission/store.go",
		old:      "	return admitted(ctx, s.gate, func() (store.Facet, error) { return s.Store.Facet(ctx, scope, req) })\n",
		new:      "	return s.Store.Facet(ctx, scope, req)\n",
		packages: []string{"./internal/admission"}, tests: "TestEveryReadPasses",
	},
	{
		name: "pages-read-in-nobodys-name", file: "internal/dashboard/session.go",
		old:      "admission.With(r.Context(), admission.User(user.Name))",
		new:      "admission.With(r.Context(), admission.User(\"\"))",
		packages: []string{"./internal/web"}, tests: "TestReadsAreTheCallers",
	},
	{
		name: "api-reads-in-nobodys-name", file: "internal/httpapi/endpoints.go",
		old:      "admission.With(r.Context(), admission.User(user.Name))",
		new:      "admission.With(r.Context(), admission.User(\"\"))",
		packages: []string{"./internal/web"}, tests: "TestReadsAreTheCallers",
	},
	{
		name: "reads-keep-the-log-long", file: "internal/store/embedded/readers.go",
		old:      "		reader.end(errInTheWay)\n",
		new:      "		_ = reader\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestReadsDontKeepTheLogLong",
	},
	{
		name: "reads-have-the-memory-of-commits", file: "internal/store/embedded/commit.go",
		old:      "			err = s.writeAlone(ctx, group)\n",
		new:      "			_ = s.writeAlone\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestCommitsHaveMemory",
	},
	{
		name: "no-checkpoint-is-asked-for", file: "internal/store/embedded/commit.go",
		old:      "	s.askForCheckpoint()\n",
		new:      "",
		packages: []string{"./internal/store/embedded"}, tests: "TestReadsDontKeepTheLogLong",
	},
	{
		name: "shipped-memory-is-not-summed", file: "internal/manager/memory.go",
		old:      "p.needed = beside + o.maxBytesInFlight + pendingMemory",
		new:      "p.needed = beside + pendingMemory",
		packages: []string{"./internal/manager"}, tests: "TestShippedMemory|TestPlanMemory",
	},
}
