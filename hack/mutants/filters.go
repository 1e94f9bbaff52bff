package main

// filters are mutants of what a filter's values mean.
var filters = []mutant{
	{
		name: "literal-values-are-patterns", file: "internal/query/literal.go",
		old:      "	if text, literal := strings.CutPrefix(v, literalMark); literal {\n",
		new:      "	if text, literal := strings.CutPrefix(v, literalMark); literal && text == \"\" {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/(Generated|FacetValuesChosen)",
	},
	{
		name: "facets-offer-patterns", file: "internal/httpapi/facet.go",
		old:      "query.Literal(string(dimension), v.Value)",
		new:      "v.Value",
		packages: []string{"./internal/httpapi"}, tests: "TestFacetValuesAreFilters",
	},
	{
		name: "menus-offer-patterns", file: "internal/dashboard/values.go",
		old:      "query.Literal(data.Name, v.Value)",
		new:      "v.Value",
		packages: []string{"./internal/dashboard"}, tests: "TestMenuValuesCanBeChosen",
	},
	{
		name: "no-namespace-called-dash", file: "internal/query/literal.go",
		old:      " || f.special != nil && f.special(text)) {\n",
		new:      ") {\n",
		packages: []string{"./internal/query"}, tests: "TestLiteral",
	},
	{
		name: "related-events-by-pattern", file: "internal/dashboard/eventfields.go",
		old:      "return []string{query.Literal(string(d), text)}",
		new:      "return []string{text}",
		packages: []string{"./internal/dashboard"}, tests: "TestRelatedEvents",
	},
	{
		name: "literal-namespace-asks-for-another", file: "internal/auth/auth.go",
		old:      "		namespace = query.Exact(namespace)\n",
		new:      "		namespace = query.Exact(query.Exact(namespace))\n",
		packages: []string{"./internal/auth"}, tests: "TestScopeOfLiteralNamespaces",
	},
}
