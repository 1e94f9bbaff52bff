package main

// readers break what says who reads, and since when.
var readers = []mutant{
	{
		name: "embedded-shows-the-earlier-namespace", file: "internal/store/embedded/where.go",
		old:      "	if young := store.Younger(namespaces, from); len(young) > 0 {\n",
		new:      "	if young := store.Younger(namespaces, from); false {\n",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/(MadeAgain|Generated)",
	},
	{
		name: "postgresql-shows-the-earlier-namespace", file: "internal/store/postgres/where.go",
		old:      "	if young := store.Younger(namespaces, from); len(young) > 0 {\n",
		new:      "	if young := store.Younger(namespaces, from); false {\n",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/(MadeAgain|Generated)",
	},
	{
		name: "embedded-lists-the-earlier-namespace's-snapshots", file: "internal/store/embedded/snapshots.go",
		old:      "return p.TakenAt.Before(namespace.Since) })",
		new:      "return false })",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/MadeAgain",
	},
	{
		name: "postgresql-lists-the-earlier-namespace's-snapshots", file: "internal/store/postgres/snapshots.go",
		old:      "AND taken_at >= n.since",
		new:      "AND n.since IS NOT NULL",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/MadeAgain",
	},
	{
		name: "covers-the-earlier-namespace", file: "internal/query/scope.go",
		old:      "n.Name == namespace && !at.Before(n.Since)",
		new:      "n.Name == namespace",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/MadeAgain",
	},
	{
		name: "rights-in-the-earlier-namespace", file: "internal/auth/auth.go",
		old:      "query.Namespace{Name: namespace, Since: since})",
		new:      "query.Namespace{Name: namespace, Since: since.Add(-time.Hour)})",
		packages: []string{"./internal/auth"}, tests: "TestMadeAgain",
	},
	{
		name: "namespaces-that-are-not-there", file: "internal/auth/auth.go",
		old:      "		case apierrors.IsNotFound(err):\n			return time.Time{}, ErrForbidden\n",
		new:      "		case apierrors.IsNotFound(err):\n			return time.Unix(1, 0), nil\n",
		packages: []string{"./internal/auth"}, tests: "TestMadeAgain",
	},
	{
		name: "rights-are-asked-once", file: "internal/export/rights.go",
		old:      "		err := x.Still(within, r, user, scope)\n",
		new:      "		err := within.Err()\n",
		packages: []string{"./internal/export"}, tests: "TestRightsEnd",
	},
	{
		name: "rights-without-an-answer-last", file: "internal/export/rights.go",
		old:      "		case !time.Now().Before(last.Add(x.RightsLast)):\n			return err\n",
		new:      "",
		packages: []string{"./internal/export"}, tests: "TestRightsEnd",
	},
	{
		name: "a-slow-client-keeps-its-rights", file: "internal/export/rights.go",
		old:      "			out.hurry(lastWords)\n",
		new:      "",
		packages: []string{"./internal/export"}, tests: "TestRightsEndWhileWriting",
	},
	{
		name: "embedded-forgets-sign-outs", file: "internal/store/embedded/sessions.go",
		old:      "one.Epoch != n.Epoch || ended || ",
		new:      "one.Epoch != n.Epoch || false && ended || ",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Sessions",
	},
	{
		name: "sessions-outlive-a-restore", file: "internal/store/embedded/sessions.go",
		old:      "return one.Epoch != n.Epoch || ",
		new:      "return ",
		packages: []string{"./internal/store/embedded"}, tests: "TestStore/Sessions|TestRestoreEndsSessions",
	},
	{
		name: "postgresql-forgets-sign-outs", file: "internal/store/postgres/sessions.go",
		old:      "owner = $2 AND (id = $3 OR id = $4 AND",
		new:      "owner = $2 AND (id = $3 AND false OR id = $4 AND",
		packages: []string{"./internal/store/postgres"}, tests: "TestStore/Sessions",
	},
	{
		name: "sign-out-of-one-browser", file: "internal/login/login.go",
		old:      "	if err := l.opts.Sessions.EndSession(r.Context(), one); err != nil {\n",
		new:      "	if err := error(nil); err != nil {\n		_ = one\n",
		packages: []string{"./internal/web"}, tests: "TestSignOut",
	},
	{
		name: "sessions-without-a-list", file: "internal/login/login.go",
		old:      "	case err != nil:\n		return auth.User{}, store.Session{}, unavailable(",
		new:      "	case err != nil && false:\n		return auth.User{}, store.Session{}, unavailable(",
		packages: []string{"./internal/web"}, tests: "TestSignOut",
	},
	{
		name: "looks-without-a-bound", file: "internal/selfaudit/views.go",
		old:      "caller.count <= most; !each",
		new:      "caller.count <= 1<<30; !each",
		packages: []string{"./internal/selfaudit"}, tests: "TestViews",
	},
	{
		name: "looks-that-wait", file: "internal/selfaudit/views.go",
		old:      "		default:\n			err = errLost\n",
		new:      "",
		packages: []string{"./internal/selfaudit"}, tests: "TestViewsWait",
	},
	{
		name: "plain-http-again", file: "internal/web/web.go",
		old:      "			h.Set(\"Strict-Transport-Security\", keepToHTTPS)\n",
		new:      "",
		packages: []string{"./internal/web"}, tests: "TestHTTPS",
	},
	{
		name: "cursor-of-any-year", file: "internal/query/cursor.go",
		old:      "		if !Writable(times[i]) {\n",
		new:      "		if false {\n",
		packages: []string{"./internal/query"},
	},
}
