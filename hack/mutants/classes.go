package main

// classes has events called what they are not: their type, method or action.
var classes = []mutant{
	{
		name: "platform-namespaces-are-like-others", file: "internal/audit/classify.go",
		old:      "			if r.platformType != \"\" && c.platform.has(e.Namespace) {\n",
		new:      "			if r.platformType != \"\" && e.Namespace == \"kube-system\" && e.Resource == \"pods\" {\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "rules-of-several-resources-lose-all-but-one", file: "internal/audit/resourcetype.go",
		old:      "					named[value] = append(named[value], answered)\n				}\n			}\n			continue\n",
		new:      "					named[value] = []typeRule{answered}\n				}\n			}\n			continue\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "open-rules-miss-what-others-name", file: "internal/audit/resourcetype.go",
		old:      "			if matchesAny(values, value) {\n",
		new:      "			if len(values) == 0 {\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "secrets-by-name-alone", file: "internal/audit/secrettype.go",
		old:      "		return secret.Type\n",
		new:      "		return \"\"\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "secrets-by-a-body-of-any-kind", file: "internal/audit/secrettype.go",
		old:      " || secret.Kind != \"Secret\" {\n",
		new:      " {\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "shells-by-the-path-as-it-is-written", file: "internal/audit/shell.go",
		old:      "	return resource, name, path.Clean(\"/\" + strings.Join(rest, \"/\")), true\n",
		new:      "	_ = path.Clean\n	return resource, name, \"/\" + strings.Join(rest, \"/\"), true\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "shells-decoded-once", file: "internal/audit/shell.go",
		old:      "	maxDecoding = 3 ",
		new:      "	maxDecoding = 1 ",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "shells-behind-nodes-alone", file: "internal/audit/shell.go",
		old:      "		if resource == \"nodes\" || slices.Contains(strings.Split(name, \":\"), kubeletPort) || len(parts) > needs {\n",
		new:      "		if resource == \"nodes\" || needs < 0 && slices.Contains(parts, name) {\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "every-proxy-is-a-shell", file: "internal/audit/shell.go",
		old:      "	return shellSubresources[subresource] || proxiesShell(beyond, proxies-1)\n",
		new:      "	return subresource == \"\" || proxiesShell(beyond, proxies-1)\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "screens-are-read", file: "internal/audit/shell.go",
		old:      "	\"console\": true, \"vnc\": true, ",
		new:      "	",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "ephemeral-containers-are-patches", file: "internal/audit/shell.go",
		old:      "		return methodOfVerb[e.Verb] != \"GET\"\n",
		new:      "		return false\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "apply-creates-nothing", file: "internal/audit/classify.go",
		old:      "	case e.Verb == \"patch\" && e.Resource != \"\" && e.StatusCode == http.StatusCreated:\n",
		new:      "	case e.Verb == \"apply\" && e.StatusCode == http.StatusCreated:\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "controllers-that-begin-like-tools", file: "internal/audit/client.go",
		old:      "	case cliPrograms[name], strings.HasPrefix(name, \"kubectl\"): // and its plugins\n",
		new:      "	case cliPrograms[name], strings.HasPrefix(name, \"kubectl\"), strings.HasPrefix(name, \"kustomize\"):\n",
		packages: []string{"./internal/audit"}, tests: "Types?$|Secret|Class|Index|Shell|Apply|Clients|Platform|Former",
	},
	{
		name: "duckdb-any-type-by-the-end", file: "internal/store/embedded/fields.go",
		old:      "	const action = \"substr(action, strpos(action, '.') + 1)\"\n",
		new:      "	const action = \"split_part(action, '.', -1)\"\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Actions",
	},
	{
		name: "postgresql-any-type-by-the-end", file: "internal/store/postgres/fields.go",
		old:      "	const action = \"substr(k.action, strpos(k.action, '.') + 1)\"\n",
		new:      "	const action = \"split_part(k.action, '.', -1)\"\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Actions",
	},
}
