package main

// sizes has clients cost what the server wrote: by long texts, large bodies,
// long deliveries, and what is wrong in a part.
var sizes = []mutant{
	{
		name: "quarantine-large-events", file: "internal/audit/decode.go",
		old:      "	object, err := d.parse(item.bytes)\n",
		new:      "	if item.large != nil {\n		return d.quarantine(item, \"too large\")\n	}\n	object, err := d.parse(item.bytes)\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "rows-are-not-cut", file: "internal/audit/row.go",
		old:      "	texts.row(event)\n",
		new:      "	_ = texts\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "cut-texts-of-one-beginning-are-one", file: "internal/audit/cut.go",
		old:      "	sum := c.key.Hash([]byte(text))\n",
		new:      "	sum := c.key.Hash([]byte(text[:at]))\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "last-address-is-cut", file: "internal/audit/cut.go",
		old:      "	for n > 0 {\n",
		new:      "	for n > 1 {\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "identity-of-what-is-cut", file: "internal/audit/condense.go",
		old:      "	heldText      = 4 << 20\n",
		new:      "	heldText      = 4 << 10\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "raw-beyond-the-bound", file: "internal/audit/row.go",
		old:      "	if sparing || len(raw) > d.scan.max {\n",
		new:      "	if sparing {\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "names-twice-cost-the-event", file: "internal/audit/mend.go",
		old:      "var laxOptions = json.JoinOptions(parseOptions, jsontext.AllowDuplicateNames(true))\n",
		new:      "var laxOptions = json.JoinOptions(parseOptions, jsontext.AllowDuplicateNames(false))\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "refused-have-allowances-of-their-own", file: "internal/audit/row.go",
		old:      "	if code == 401 || code == 403 || ",
		new:      "	if ",
		packages: []string{"./internal/audit"},
	},
	{
		name: "broken-line-costs-the-rest", file: "internal/audit/scan.go",
		old:      "		if s.fresh && (b[0] == '{' || b[0] == '[') {\n",
		new:      "		if s.fresh && b[0] == 0 {\n",
		packages: []string{"./internal/audit"},
	},
	{
		name: "allowance-without-end", file: "internal/collector/allowance.go",
		old:      "	if taken[key]+int64(bytes) > a.perHour {\n",
		new:      "	if false {\n",
		packages: []string{"./internal/collector"},
	},
	{
		name: "identities-without-bound", file: "internal/collector/allowance.go",
		old:      "!known && len(taken) >= maxIdentities {\n",
		new:      "!known && len(taken) < 0 {\n",
		packages: []string{"./internal/collector"},
	},
	{
		name: "large-items-are-not-reserved", file: "internal/collector/budget.go",
		old:      "	m.large = bytes\n",
		new:      "	m.large = 0\n",
		packages: []string{"./internal/collector"}, tests: "TestLargeItemIsReserved",
	},
}
