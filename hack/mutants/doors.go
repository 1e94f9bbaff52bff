package main

// doors break what guards the ways in and the files that go out.
var doors = []mutant{
	{
		name: "own-identity-for-anonymous", file: "internal/auth/auth.go",
		old:      "	if token == \"\" {\n		return User{}, ErrUnauthenticated\n	}\n",
		new:      "	if token == \"\" {\n		return User{Name: \"operator\", Groups: []string{\"system:masters\"}}, nil\n	}\n",
		packages: []string{"./internal/auth", "./internal/dashboard"},
	},
	{
		name: "log-in-leads-anywhere", file: "internal/login/local.go",
		old:      "	if err != nil || u.Scheme != \"\" || u.Host != \"\"",
		new:      "	if err != nil || u.Scheme != \"\"",
		packages: []string{"./internal/dashboard"},
	},
	{
		name: "metrics-without-rights", file: "internal/auth/guard.go",
		old:      "			err = a.MayGet(r.Context(), user, r.URL.Path)\n",
		new:      "			_ = user\n",
		packages: []string{"./test/process"},
	},
	{
		name: "namespace-without-a-right", file: "internal/auth/auth.go",
		old:      "		if err := a.may(ctx, user.reviewOf(namespace)); err != nil {\n",
		new:      "		if err := a.may(ctx, user.reviewOf(namespaces[0])); err != nil {\n",
		packages: []string{"./internal/auth", "./internal/dashboard"},
	},
	{
		name: "export-goes-on-unrecorded", file: "internal/export/serve.go",
		old:      "	if err != nil {\n		return err\n	}\n	begin200(w, answer.headers())\n",
		new:      "	if err != nil {\n		end = func(context.Context, int, map[string]string) {}\n	}\n	begin200(w, answer.headers())\n",
		packages: []string{"./internal/export"}, tests: "TestUnrecorded",
	},
	{
		name: "export-cap-ignored", file: "internal/export/export.go",
		old:      "- x.Limit; over > 0 {",
		new:      "- x.Limit; over > 1<<40 {",
		packages: []string{"./internal/export"}, tests: "TestCap",
	},
	{
		name: "formula-in-a-cell", file: "internal/export/cell.go",
		old:      "		if begins && needsApostrophe(text[i:]) {\n",
		new:      "		if begins && text[i] == '\\'' {\n",
		packages: []string{"./internal/export"}, tests: "Cell",
	},
	{
		name: "export-ends-without-a-word", file: "internal/export/export.go",
		old:      "errors.Join(err, enc.failed(rows), enc.flush())",
		new:      "errors.Join(err, enc.flush())",
		packages: []string{"./internal/export"}, tests: "TestFailureIsSeen",
	},
	{
		name: "export-breaks-off-whole", file: "internal/export/serve.go",
		old:      "		panic(http.ErrAbortHandler) // a file",
		new:      "		return nil // a file",
		packages: []string{"./internal/export"}, tests: "TestFailureIsSeen",
	},
	{
		name: "export-with-fewer-rows", file: "internal/export/export.go",
		old:      "	if rows < x.rows {\n",
		new:      "	if rows < 0 {\n",
		packages: []string{"./internal/export"}, tests: "TestFailureIsSeen",
	},
	{
		name: "files-for-other-sites", file: "internal/login/site.go",
		old:      "	return true\n}\n",
		new:      "	return false\n}\n",
		packages: []string{"./internal/httpapi"}, tests: "TestFilesForOtherSites",
	},
	{
		name: "exports-for-other-sites", file: "internal/export/serve.go",
		old:      "	if login.FromAnotherSite(r) {\n",
		new:      "	if login.FromAnotherSite(r) && false {\n",
		packages: []string{"./internal/httpapi"}, tests: "TestFilesForOtherSites",
	},
	{
		name: "guesses-are-compressed", file: "internal/web/compress.go",
		old:      "	return login.FromAnotherSite(r) && !clicked\n",
		new:      "	return login.FromAnotherSite(r) && !clicked && false\n",
		packages: []string{"./internal/web"}, tests: "TestCompression",
	},
	{
		name: "files-are-compressed", file: "internal/web/compress.go",
		old:      "\"application/problem+json\"}",
		new:      "\"application/problem+json\", \"text/csv\"}",
		packages: []string{"./internal/web"}, tests: "TestCompression",
	},
	{
		name: "place-before-the-form", file: "internal/dashboard/dashboard.go",
		old:      "d.formed(d.few(d.signIn))",
		new:      "d.few(d.formed(d.signIn))",
		packages: []string{"./internal/dashboard"}, tests: "TestSlowForms",
	},
	{
		name: "deadline-without-a-body", file: "internal/web/body.go",
		old:      "		if r.Body != http.NoBody {\n",
		new:      "		if r.Body != nil {\n",
		packages: []string{"./internal/web"}, tests: "TestBodies",
	},
	{
		name: "broken-body-has-no-deadline", file: "internal/web/body.go",
		old:      "	if errors.Is(err, io.EOF) {\n",
		new:      "	if errors.Is(err, io.EOF) || err != nil {\n",
		packages: []string{"./internal/web"}, tests: "TestBodies",
	},
	{
		name: "strangers-and-known-in-one-line", file: "internal/auth/auth.go",
		old:      "owner(ctx, a.client, token)",
		new:      "owner(ctx, a.opts.Strangers, token)",
		packages: []string{"./internal/auth"}, tests: "TestStrangersWaitAlone",
	},
	{
		name: "refused-token-stays-known", file: "internal/auth/auth.go",
		old:      "				a.known.remove(k)\n",
		new:      "",
		packages: []string{"./internal/auth"}, tests: "TestRevokedTokens",
	},
	{
		name: "old-id-token", file: "internal/login/oidc.go",
		old:      "token.IssuedAt.Before(now.Add(-attemptLasts)) || ",
		new:      "",
		packages: []string{"./internal/dashboard"}, tests: "TestAnswersOfAnotherTime",
	},
	{
		name: "slow-provider-holds-log-ins", file: "internal/login/provider.go",
		old:      "		if known != nil {\n",
		new:      "		if known != nil && false {\n",
		packages: []string{"./internal/login"}, tests: "TestSlowProvider",
	},
	{
		name: "address-that-clients-say", file: "internal/login/proxy.go",
		old:      "i >= 0 && p != nil && p.contains(at); i--",
		new:      "i >= 0 && p != nil && p.contains(at) || i == 0; i--",
		packages: []string{"./internal/login"}, tests: "TestClientAddress",
	},
	{
		name: "endless-download", file: "internal/export/snapshot.go",
		old:      "	if err := u.ctx.Err(); err != nil {\n		return 0, err\n	}\n	return u.Reader.Read(p)\n",
		new:      "	if u.ctx == nil {\n		return 0, nil\n	}\n	return u.Reader.Read(p)\n",
		packages: []string{"./internal/export"}, tests: "TestDownloadsEnd",
	},
	{
		name: "one-time-for-a-long-write", file: "internal/export/serve.go",
		old:      "slices.Chunk(b, writeBytes)",
		new:      "slices.Chunk(b, 1<<30)",
		packages: []string{"./internal/export"}, tests: "TestPatient",
	},
}
