package main

// redactions leave a secret where it stands, or take evidence away.
var redactions = []mutant{
	{
		name: "annotations-are-not-read", file: "internal/audit/redact.go",
		old:      "		text(&m.value, redactAnnotation(by, clean, w.ObjectRef, m.name, m.value))\n",
		new:      "		_ = m\n",
		packages: []string{"./internal/audit"}, tests: "TestCanaries",
	},
	{
		name: "arguments-without-their-command", file: "internal/redact/object.go",
		old:      "	if m.mode == arguments && o.flags&hasCommand != 0 && w.peek() == '[' {\n",
		new:      "	if false {\n",
		packages: []string{"./internal/audit"}, tests: "TestCanaries",
	},
	{
		name: "patches-without-their-path", file: "internal/redact/object.go",
		old:      "	if string(name) == \"value\" && o.isPatch(w.in) {\n",
		new:      "	if false {\n",
		packages: []string{"./internal/audit"}, tests: "TestCanaries",
	},
	{
		name: "texts-within-texts", file: "internal/redact/redact.go",
		old:      "	if out, ok := r.structured(text); ok {\n",
		new:      "	if out, ok := r.structured(text); ok && r.nested > 0 {\n",
		packages: []string{"./internal/audit"}, tests: "TestCanaries",
	},
	{
		name: "references-are-secret", file: "internal/redact/object.go",
		old:      "	case v == aboutSecret:\n		return plain\n",
		new:      "",
		packages: []string{"./internal/audit"}, tests: "TestEvidence",
	},
	{
		name: "no-look-is-suspicious", file: "internal/redact/suspicious.go",
		old:      "			if c == '@' && sawColon { // user:password@host\n				return true\n			}\n",
		new:      "",
		packages: []string{"./internal/audit"}, tests: "TestCanaries",
	},
	{
		name: "redaction-stays-in-the-collector", file: "internal/collector/collector.go",
		old:      "Redaction: source.Redaction, ",
		new:      "",
		packages: []string{"./internal/collector"}, tests: "TestRedaction",
	},
	{
		name: "redaction-stays-in-the-spec", file: "controllers/follow.go",
		old:      "			DropExecArguments:   redaction.ExecArguments == v1alpha1.DropValues,\n",
		new:      "",
		packages: []string{"./controllers"}, tests: "TestAcceptedSource",
	},
	{
		name: "nesting-without-end", file: "internal/redact/redact.go",
		old:      "	return r.nested <= maxNested\n",
		new:      "	return r.nested <= 10*maxNested\n",
		packages: []string{"./internal/redact"}, tests: "TestNested",
	},
}
