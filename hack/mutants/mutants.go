package main

var mutants = []mutant{
	{
		name: "acknowledge-before-commit", file: "internal/collector/webhook/server.go",
		old:      "		appended, err := c.Ingest(",
		new:      "		w.WriteHeader(http.StatusOK)\n		appended, err := c.Ingest(",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "identity-by-audit-id-only", file: "internal/audit/identity.go",
		old:      "	h.add(source, w.Level, w.AuditID, w.Stage, w.RequestURI, w.Verb)\n",
		new:      "	h.add(w.AuditID)\n	if true {\n		sum := sha256.Sum256(h)\n		return ID(sum[:16])\n	}\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "namespace-from-object-ref", file: "internal/audit/classify.go",
		old:      "	e.Namespace, e.DryRun = where.namespace, where.dryRun\n",
		new:      "	e.Namespace, e.DryRun = where.namespace, where.dryRun\n	if w.ObjectRef != nil {\n		e.Namespace = w.ObjectRef.Namespace\n	}\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "no-scope-in-one-read", file: "internal/store/embedded/read.go",
		old:      "			cond.scope(scope)\n			cond.and(\"id = \"",
		new:      "			cond.scope(query.ClusterWide())\n			cond.and(\"id = \"",
		packages: []string{"./internal/store/embedded"},
	},
	{
		name: "own-identity-for-anonymous", file: "internal/auth/auth.go",
		old:      "	if token == \"\" {\n		return User{}, ErrUnauthenticated\n	}\n",
		new:      "	if token == \"\" {\n		return User{Name: \"operator\", Groups: []string{\"system:masters\"}}, nil\n	}\n",
		packages: []string{"./internal/auth", "./internal/dashboard"},
	},
	{
		name: "digest-over-unsorted-keys", file: "internal/snapshot/record.go",
		old:      "	ActedVia     string     `json:\"actedVia,omitzero\"`\n	Action       string     `json:\"action,omitzero\"`\n",
		new:      "	Action       string     `json:\"action,omitzero\"`\n	ActedVia     string     `json:\"actedVia,omitzero\"`\n",
		packages: []string{"./internal/snapshot"},
	},
	{
		name: "cursor-on-the-wrong-column", file: "internal/store/embedded/where.go",
		old:      "c.and(\"(occurred_at < \" + at",
		new:      "c.and(\"(stage_at < \" + at",
		packages: []string{"./internal/store/embedded"},
	},
	{
		name: "raw-before-redaction", file: "internal/audit/decode.go",
		old:      "	changed := w.redact()\n",
		new:      "	changed := false\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "refuse-for-a-poison-item", file: "internal/collector/webhook/server.go",
		old:      "		if appended.Quarantined > 0 {\n",
		new:      "		if appended.Quarantined > 0 {\n			w.WriteHeader(http.StatusBadRequest)\n",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "retention-drops-today", file: "internal/store/embedded/retain.go",
		old:      "if day >= today || ",
		new:      "if day > today || ",
		packages: []string{"./internal/store/embedded"},
	},
	{
		name: "status-written-unchanged", file: "controllers/statuswriter.go",
		old:      "	if equality.Semantic.DeepEqual(w.written, o) {\n",
		new:      "	if equality.Semantic.DeepEqual(w.written, nil) {\n",
		packages: []string{"./controllers"},
	},
	{
		name: "snapshot-replaced-silently", file: "controllers/query_controller.go",
		old:      "	if status.Snapshot == nil || status.Snapshot.ID != id {\n		if err := r.take(",
		new:      "	if true {\n		if err := r.take(",
		packages: []string{"./controllers"},
	},
	{
		name: "namespaced-query-sees-everything", file: "controllers/query_controller.go",
		old:      "	return query.InNamespace(r.ClusterName, q.GetNamespace())\n",
		new:      "	return query.ClusterWide()\n",
		packages: []string{"./controllers"},
	},
	{
		name: "log-in-leads-anywhere", file: "internal/dashboard/session.go",
		old:      "	if err != nil || u.Scheme != \"\" || u.Host != \"\"",
		new:      "	if err != nil || u.Scheme != \"\"",
		packages: []string{"./internal/dashboard"},
	},
	{
		name: "certificate-of-any-source", file: "internal/collector/webhook/registry.go",
		old:      "		req.TLS.PeerCertificates[0].Subject.CommonName == s.ClientCommonName {\n",
		new:      "		req.TLS.PeerCertificates[0].Subject.CommonName != \"\" {\n",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "metrics-without-rights", file: "internal/auth/guard.go",
		old:      "			err = a.MayGet(r.Context(), user, r.URL.Path)\n",
		new:      "			_ = user\n",
		packages: []string{"."},
	},
	{
		name: "conflict-keeps-credentials", file: "controllers/auditsource_controller.go",
		old:      "		// What was accepted before is in a Secret that is gone.\n		registry.Delete(s.Name)\n",
		new:      "",
		packages: []string{"./controllers"},
	},
	{
		name: "page-of-another-namespace", file: "internal/dashboard/problem.go",
		old:      "		return d.Auth.ScopeFor(ctx, user, d.Cluster, namespace)\n",
		new:      "		return d.Auth.ScopeFor(ctx, user, d.Cluster, \"shop\")\n",
		packages: []string{"./internal/dashboard"},
	},
}
