package main

// intake loses, forges or shows what API servers send.
var intake = []mutant{
	{
		name: "acknowledge-before-commit", file: "internal/collector/webhook/server.go",
		old:      "	appended, err := p.ingest(",
		new:      "	w.WriteHeader(http.StatusOK)\n	appended, err := p.ingest(",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "identity-by-audit-id-only", file: "internal/audit/identity.go",
		old:      "	h.add(source, w.Level, w.AuditID, w.Stage, w.RequestURI, w.Verb)\n",
		new:      "	h.add(w.AuditID)\n	if true {\n		return ID(p.key.Hash(h))\n	}\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "namespace-from-object-ref", file: "internal/audit/classify.go",
		old:      "	e.Namespace = where.namespace\n",
		new:      "	e.Namespace = where.namespace\n	if w.ObjectRef != nil {\n		e.Namespace = w.ObjectRef.Namespace\n	}\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "raw-before-redaction", file: "internal/audit/row.go",
		old:      "	changed = w.redact(d.Redaction, p.plain) || changed\n",
		new:      "	_ = w.redact\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "refuse-for-a-poison-item", file: "internal/collector/webhook/server.go",
		old:      "	if appended.Quarantined > 0 {\n",
		new:      "	if appended.Quarantined > 0 {\n		w.WriteHeader(http.StatusBadRequest)\n",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "certificate-of-any-source", file: "internal/collector/webhook/registry.go",
		old:      "		req.TLS.PeerCertificates[0].Subject.CommonName == s.ClientCommonName {\n",
		new:      "		req.TLS.PeerCertificates[0].Subject.CommonName != \"\" {\n",
		packages: []string{"./internal/collector/webhook"},
	},
	{
		name: "token-in-the-log", file: "internal/collector/webhook/server.go",
		old:      "	source, ok := h.registry.authenticate(",
		new:      "	h.log.V(1).Info(\"Request\", \"authorization\", req.Header.Get(\"Authorization\"))\n	source, ok := h.registry.authenticate(",
		packages: []string{"./test/process"},
	},
	{
		name: "one-source-takes-all-memory", file: "internal/collector/budget.go",
		old:      "	share := max(capacity/2, ",
		new:      "	share := max(capacity, ",
		packages: []string{"./internal/collector"},
	},
	{
		name: "deliveries-grow-unreserved", file: "internal/collector/budget.go",
		old:      "	m.gathered += bytes + itemBytes\n",
		new:      "	_ = bytes\n",
		packages: []string{"./internal/collector"},
	},
	{
		name: "second-renewal-fails", file: "internal/credentials/serving.go",
		old:      "	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {\n",
		new:      "	err := retry.OnError(retry.DefaultRetry, func(error) bool { return false }, func() (err error) {\n",
		packages: []string{"./internal/credentials"},
		tests:    "TestReplicasAtOnce",
	},
	{
		name: "own-source-takes-deliveries", file: "internal/collector/webhook/registry.go",
		old:      "	if s.Name == audit.OwnSource {\n",
		new:      "	if s.Name == audit.OwnSource+\"x\" {\n",
		packages: []string{"./internal/collector/webhook"}, tests: "TestOwnSource",
	},
	{
		name: "put-off-for-good", file: "internal/collector/webhook/registry.go",
		old:      "return t.putOff.After(t.delivered) && ",
		new:      "return ",
		packages: []string{"./internal/collector/webhook"}, tests: "TestPutsOff",
	},
}
