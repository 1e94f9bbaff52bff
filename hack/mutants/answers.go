package main

// answers has what is returned grow with what clients wrote.
var answers = []mutant{
	{
		name: "answers-beyond-their-bound", file: "internal/store/bounds.go",
		old:      "	if r.used > 0 && r.used+n > r.most {\n",
		new:      "	if r.used > 0 && r.used > r.most {\n",
		packages: []string{"./internal/store"}, tests: "TestRoom",
	},
	{
		name: "long-row-ends-the-pages", file: "internal/store/bounds.go",
		old:      "	if r.used > 0 && r.used+n > r.most {\n",
		new:      "	if r.used+n > r.most {\n",
		packages: []string{"./internal/store"}, tests: "TestRoom",
	},
	{
		name: "stores-keep-any-text", file: "internal/store/bounds.go",
		old:      "	if isBounded(e) {\n",
		new:      "	if isBounded(e) || true {\n",
		packages: []string{"./internal/store"}, tests: "TestBounded|TestEveryTextIsBounded",
	},
	{
		name: "postgres-reads-any-text", file: "internal/store/postgres/scan.go",
		old:      "			names[i] = leftOf(name, store.MaxPath)\n",
		new:      "			names[i] = name\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestFattenedRows",
	},
	{
		name: "api-pages-beyond-their-bound", file: "internal/httpapi/answer.go",
		old:      "		if len(body) <= maxAnswer || n <= 1 {\n",
		new:      "		if true {\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPagesAreBounded",
	},
	{
		name: "snapshots-beyond-their-bound", file: "internal/snapshot/lines.go",
		old:      "		if err := l.encode(e); err != nil || len(l.line) <= most {\n",
		new:      "		if err := l.encode(e); true {\n",
		packages: []string{"./internal/snapshot"}, tests: "TestBodyIsBounded",
	},
	{
		name: "cut-texts-are-not-told", file: "internal/snapshot/snapshot.go",
		old:      " || rows.shortened > 0,",
		new:      ",",
		packages: []string{"./internal/snapshot"}, tests: "TestShortenedSnapshot",
	},
	{
		name: "pages-of-any-size", file: "internal/dashboard/size.go",
		old:      "		if err != nil || len(body) <= maxPage || n <= 1 {\n",
		new:      "		if true {\n",
		packages: []string{"./internal/dashboard"}, tests: "TestFitting|TestFatPages",
	},
	{
		name: "pages-repeat-any-address", file: "internal/dashboard/size.go",
		old:      "	if len(r.URL.RawQuery) > maxAddress {\n",
		new:      "	if len(r.URL.RawQuery) > 1<<30 {\n",
		packages: []string{"./internal/dashboard"}, tests: "TestLongAddress",
	},
}
