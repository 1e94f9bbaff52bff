package main

// planted leaves secrets, or takes evidence away, where real requests bring them.
var planted = []mutant{
	{
		name: "user-agents-are-not-read", file: "internal/audit/redact.go",
		old:      "	text(&w.UserAgent, clean.redact(by, w.UserAgent))\n",
		new:      "",
		packages: []string{"./test/process"}, tests: "TestPlanted",
	},
	{
		name: "refusals-quote", file: "internal/audit/redact.go",
		old:      "by.Body(redactRefusal(status), redact.Other)",
		new:      "by.Body(status, redact.Other)",
		packages: []string{"./test/process"}, tests: "TestPlanted",
	},
	{
		name: "addresses-go-whole", file: "internal/audit/redact.go",
		old:      "	text(&w.RequestURI, by.URI(w.RequestURI))\n",
		new:      "	text(&w.RequestURI, \"/\"+Redacted)\n",
		packages: []string{"./test/process"}, tests: "TestPlanted",
	},
	{
		name: "differences-stay", file: "internal/audit/refusal.go",
		old:      "			return first + \"\\n\" + Redacted\n",
		new:      "			_ = first\n",
		packages: []string{"./internal/audit"}, tests: "TestRefusals",
	},
	{
		name: "finder-sees-no-halves", file: "internal/canarytest/finder.go",
		old:      "word[:len(word)/2], word[len(word)/2:]",
		new:      "word",
		packages: []string{"./internal/canarytest"}, tests: "TestFinder",
	},
}
