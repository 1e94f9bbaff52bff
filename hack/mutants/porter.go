package main

// porter answers scripts of Porter's API with other entries than they ask for.
var porter = []mutant{
	{
		name: "porter-pages-from-zero", file: "internal/httpapi/porter.go",
		old:      "	return limit, int(*b.Page-1) * limit, nil\n",
		new:      "	return limit, int(*b.Page) * limit, nil\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterPagesByNumber",
	},
	{
		name: "porter-pages-without-end", file: "internal/httpapi/porter.go",
		old:      "	case *b.Page < 1 || *b.Page > most:\n",
		new:      "	case *b.Page < 1:\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterRefuses|TestPorterLastPage",
	},
	{
		name: "porter-page-loses-entries", file: "internal/httpapi/porter.go",
		old:      "	if len(entries) < limit && view.Next != nil {\n",
		new:      "	if false {\n",
		packages: []string{"./internal/httpapi"}, tests: "TestFatPages",
	},
	{
		name: "porter-path-is-not-asked", file: "internal/httpapi/porterbody.go",
		old:      "		p.values.Set(\"path\", path)\n",
		new:      "",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterQuery|TestPorterBody",
	},
	{
		name: "porter-any-source-is-cli", file: "internal/httpapi/porterbody.go",
		old:      "		if *f.Source != audit.ClientCLI {\n",
		new:      "		if false {\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterBodyRefuses",
	},
	{
		name: "porter-users-are-tokens", file: "internal/httpapi/porterbody.go",
		old:      "		p.values[\"actor_kind_exclude\"] = export.PorterTokenKinds\n",
		new:      "		p.values[\"actor_kind\"] = []string{audit.ActorUser}\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterEntries|TestPorterBody",
	},
	{
		name: "porter-file-of-any-name", file: "internal/export/serve.go",
		old:      "		return '_'\n",
		new:      "		return r\n",
		packages: []string{"./internal/httpapi"}, tests: "TestPorterExport",
	},
	{
		name: "paths-need-their-query", file: "internal/query/literal.go",
		old:      "		if !p.Open && !strings.Contains(p.Text, \"?\") {\n",
		new:      "		if p.Text == \"\" && strings.Contains(p.Text, \"?\") {\n",
		packages: []string{"./internal/query"},
	},
	{
		name: "kept-queries-forget-paths", file: "internal/query/crdconv/manifest.go",
		old:      "		if field.Spec != \"\" {\n",
		new:      "		if field.Spec != \"\" || field.Name == \"path\" {\n",
		packages: []string{"./internal/query/crdconv"}, tests: "TestManifestsRefuse",
	},
	{
		name: "form-forgets-paths", file: "internal/dashboard/form.go",
		old:      "field != nil && field.Spec == \"\" {\n",
		new:      "field != nil && field.Spec == \"\" && field.Name != \"path\" {\n",
		packages: []string{"./internal/dashboard"}, tests: "TestFieldsWithoutMenuStay",
	},
}
