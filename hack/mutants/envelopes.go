package main

// envelopes loses or shows what log services and shippers carry.
var envelopes = []mutant{
	{
		name: "envelope-is-one-item", file: "internal/audit/carried.go",
		old:      "|| !r.isEvent && envelope.IsList(",
		new:      "|| false && !r.isEvent && envelope.IsList(",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "empty-envelope-vanishes", file: "internal/audit/carried.go",
		old:      "	if inner.count == 0 && ",
		new:      "	if inner.count < 0 && ",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "label-hides-an-event", file: "internal/audit/carried.go",
		old:      "	case c.Problem != \"\":\n",
		new:      "	case c.Skip != \"\":\n		return d.emit(Item{Skipped: c.Skip})\n	case c.Problem != \"\":\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "every-stream-is-another", file: "internal/audit/envelope/amazon.go",
		old:      "		if strings.HasPrefix(stream, other) {\n",
		new:      "		if other != stream {\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "undecided-vanishes", file: "internal/audit/carried.go",
		old:      "	for _, q := range u.items {\n",
		new:      "	for _, q := range u.items[:0] {\n",
		packages: []string{"./internal/audit"}, tests: "TestMixed",
	},
	{
		name: "gzip-without-a-bound", file: "internal/audit/inflate.go",
		old:      "	if f.out > max(f.free, MaxInflation*consumed) || ",
		new:      "	if f.out < 0*consumed || ",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "gzip-in-gzip-multiplies", file: "internal/audit/inflate.go",
		old:      " || f.wire.inflated > max(f.free, MaxInflation*f.wire.arrived) {",
		new:      " {",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "bomb-costs-what-came-before", file: "internal/collector/collector.go",
		old:      "	if decodeErr != nil && !errors.Is(decodeErr, audit.ErrInflation) {\n",
		new:      "	if decodeErr != nil || errors.Is(decodeErr, audit.ErrInflation) {\n",
		packages: []string{"./internal/collector/webhook"}, tests: "TestBomb|TestFirehose|TestOTLP|TestEnvelopes",
	},
	{
		name: "cut-gzip-is-an-end", file: "internal/audit/inflate.go",
		old:      "	return errGzip\n",
		new:      "	return io.EOF\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "reset-in-gzip-is-an-end", file: "internal/audit/inflate.go",
		old:      "		return f.from.err\n",
		new:      "		return io.EOF\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "text-stays-in-quarantine", file: "internal/audit/carried.go",
		old:      "	left = envelope.Mask(",
		new:      "	_ = envelope.Mask(",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "level-of-the-collector", file: "internal/audit/envelope/openshift.go",
		old:      "			event = appendMember(event, \"level\", level)\n			fallthrough\n",
		new:      "			event = appendMember(event, \"level\", o.value(\"level\"))\n			fallthrough\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "reconstructed-like-real", file: "internal/audit/envelope/google.go",
		old:      "	return append(appendMember(out, ReconstructedAnnotation, quote(text)), '}')\n",
		new:      "	_ = text\n	return append(appendMember(out, \"x\", []byte(`\"\"`)), '}')\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "envelopes-without-end", file: "internal/audit/carried.go",
		old:      "	case d.depth >= envelope.MaxDepth:\n		return d.refuse",
		new:      "	case d.depth >= 1000:\n		return d.refuse",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "envelope-held-unreserved", file: "internal/audit/scan.go",
		old:      "		if s.hold != nil && (s.inflated || len(to.bytes) > s.max) && s.failed == nil {\n",
		new:      "		if false {\n",
		packages: []string{"./internal/audit"}, tests: "TestCarriers|TestMixed|TestReasons|TestDepth|TestRecordSize|TestInflation|TestBombInRecord|TestReaderFailsInGzip|TestReconstructed",
	},
	{
		name: "otlp-says-all-is-well", file: "internal/collector/webhook/protocol.go",
		old:      "	if out.Quarantined > 0 {\n",
		new:      "	if out.Quarantined < 0 {\n",
		packages: []string{"./internal/collector/webhook"}, tests: "TestBomb|TestFirehose|TestOTLP|TestEnvelopes",
	},
	{
		name: "firehose-takes-any-key", file: "internal/collector/webhook/registry.go",
		old:      "	if token == \"\" {\n		return false\n	}\n",
		new:      "	if token == \"\" || req.Header.Get(firehoseAccessKey) != \"\" {\n		return token != \"\"\n	}\n",
		packages: []string{"./internal/collector/webhook"}, tests: "TestBomb|TestFirehose|TestOTLP|TestEnvelopes",
	},
	{
		name: "firehose-is-not-answered", file: "internal/collector/webhook/protocol.go",
		old:      "{ f.answer(w, http.StatusOK, \"\") }",
		new:      "{ f.plain.accept(w, collector.Outcome{}) }",
		packages: []string{"./internal/collector/webhook"}, tests: "TestBomb|TestFirehose|TestOTLP|TestEnvelopes",
	},
}
