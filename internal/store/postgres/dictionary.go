package postgres

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// key of a dictionary's entry: the first half of SHA-256 over its values, each
// with its length before it.
type key = [16]byte

// The dictionaries, as indices of a row's keys and IDs.
const (
	kinds = iota
	places
	actors
	agents
	dictionaries // how many there are
)

// definition of a dictionary: its table, its columns with their types, and
// their values in an event.
type definition struct {
	table   string
	columns []string
	values  func(e *audit.Event) []string
	// mark is of a column that was added later, the last of columns. It stands in a
	// key only where it is set, so that entries from before keep theirs.
	mark func(e *audit.Event) bool
	// lists are of columns that were added later, too, the last of columns. They
	// stand in a key only where one has a value.
	lists func(e *audit.Event) [2][]string
}

// columnValues returns an event's values of all columns.
func (d *definition) columnValues(e *audit.Event) []string {
	values := d.values(e)
	if d.mark != nil {
		values = append(values, strconv.FormatBool(d.mark(e)))
	}
	if d.lists != nil {
		for _, list := range d.lists(e) {
			values = append(values, arrayText(list))
		}
	}
	return values
}

var definitions = [dictionaries]definition{
	kinds: {
		table: "audit_kinds",
		columns: []string{
			"level", "stage", "method", "verb", "resource_type", "action", "api_group", "api_version",
			"resource", "subresource", "status_code integer", "dry_run boolean", "client", "truncated boolean",
		},
		mark: func(e *audit.Event) bool { return e.Truncated },
		values: func(e *audit.Event) []string {
			return []string{
				e.Level, e.Stage, e.Method, e.Verb, e.ResourceType, e.Action, e.APIGroup, e.APIVersion,
				e.Resource, e.Subresource, strconv.Itoa(e.StatusCode), e.DryRun.String(), e.Client,
			}
		},
	},
	places: {
		table:   "audit_places",
		columns: []string{"cluster", "namespace", "is_foreign boolean"},
		mark:    func(e *audit.Event) bool { return e.Foreign },
		values:  func(e *audit.Event) []string { return []string{e.Cluster, e.Namespace} },
	},
	actors: {
		table:   "audit_actors",
		columns: []string{"actor", "actor_kind", "acted_via", "groups text[]", "acted_via_groups text[]"},
		lists:   func(e *audit.Event) [2][]string { return [2][]string{e.Groups, e.ActedViaGroups} },
		values:  func(e *audit.Event) []string { return []string{e.Actor, e.ActorKind, e.ActedVia} },
	},
	agents: {
		table:   "audit_agents",
		columns: []string{"source", "user_agent", "credential_id"},
		values:  func(e *audit.Event) []string { return []string{e.Source, e.UserAgent, e.CredentialID} },
	},
}

// keysOf returns the keys of an event's entries.
func keysOf(e *audit.Event) (keys [dictionaries]key) {
	var buffer [512]byte
	for i := range definitions {
		encoded := buffer[:0]
		encoded = appendValues(encoded, definitions[i].values(e))
		if mark := definitions[i].mark; mark != nil && mark(e) {
			encoded = append(encoded, 1)
		}
		if lists := definitions[i].lists; lists != nil {
			encoded = appendLists(encoded, lists(e))
		}
		sum := sha256.Sum256(encoded)
		keys[i] = key(sum[:16])
	}
	return keys
}

func appendValues(encoded []byte, values []string) []byte {
	for _, value := range values {
		value = store.Text(value)
		encoded = binary.AppendUvarint(encoded, uint64(len(value)))
		encoded = append(encoded, value...)
	}
	return encoded
}

func appendLists(encoded []byte, lists [2][]string) []byte {
	if len(lists[0])+len(lists[1]) == 0 {
		return encoded
	}
	for _, list := range lists {
		encoded = appendValues(binary.AppendUvarint(encoded, uint64(len(list))), list)
	}
	return encoded
}

// arrayText writes a list as PostgreSQL reads an array of texts; "" stands for
// none.
func arrayText(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var text strings.Builder
	for i, value := range list {
		text.WriteByte("{,"[min(i, 1)])
		text.WriteByte('"')
		text.WriteString(arrayEscaper.Replace(value))
		text.WriteByte('"')
	}
	text.WriteByte('}')
	return text.String()
}

var arrayEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// entry is what is known of an entry.
type entry struct {
	id      int32
	lastDay dayNumber // it is there as long as this day may hold events
}

// cacheSize is at how many entries a generation of a dictionary is full.
const cacheSize = 1 << 16

// dictionary remembers the entries that were used last: those of the younger
// generation, and of the older one, which goes when the younger is full.
type dictionary struct {
	young, old map[key]entry
}

// age makes room. Between two calls nothing is forgotten.
func (d *dictionary) age() {
	if len(d.young) >= cacheSize {
		d.old, d.young = d.young, nil
	}
}

func (d *dictionary) get(k key) (entry, bool) {
	if e, ok := d.young[k]; ok {
		return e, true
	}
	e, ok := d.old[k]
	if ok {
		d.put(k, e)
	}
	return e, ok
}

func (d *dictionary) put(k key, e entry) {
	if d.young == nil {
		d.young = make(map[key]entry)
	}
	d.young[k] = e
}

// wanted are entries that are not known, or not for as long as needed: for
// each key an event that has it, of the newest day.
type wanted map[key]*plannedRow

// resolve gives the rows the IDs of their entries. It adds entries that are
// missing, in a transaction of its own: what no row uses does no harm.
func (w *writer) resolve(ctx context.Context, rows []*plannedRow) error {
	var missing [dictionaries]wanted
	for i := range missing {
		w.dictionaries[i].age()
		missing[i] = w.lookUp(i, rows)
	}
	for _, ask := range []func(context.Context, *[dictionaries]wanted) error{w.readEntries, w.addEntries} {
		if len(missing[kinds])+len(missing[places])+len(missing[actors])+len(missing[agents]) == 0 {
			return nil
		}
		if err := ask(ctx, &missing); err != nil {
			return err
		}
		for i := range missing {
			missing[i] = w.lookUp(i, rows)
		}
	}
	for i := range missing {
		if len(missing[i]) > 0 {
			return fmt.Errorf("%d entries of %s are missing after they were added", len(missing[i]), definitions[i].table)
		}
	}
	return nil
}

// lookUp sets the IDs that are known and returns what is wanted.
func (w *writer) lookUp(i int, rows []*plannedRow) wanted {
	var missing wanted
	for _, r := range rows {
		e, known := w.dictionaries[i].get(r.keys[i])
		if known && e.lastDay >= r.day {
			r.ids[i] = e.id
			continue
		}
		if missing == nil {
			missing = wanted{}
		}
		if other := missing[r.keys[i]]; other == nil || other.day < r.day {
			missing[r.keys[i]] = r
		}
	}
	return missing
}

// readEntries looks for entries that another replica, or this one before, has
// added.
func (w *writer) readEntries(ctx context.Context, missing *[dictionaries]wanted) error {
	batch := &pgx.Batch{}
	for i, entries := range missing {
		if len(entries) > 0 {
			w.queueRead(batch, i, slices.Collect(maps.Keys(entries)))
		}
	}
	if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read dictionaries: %w", err)
	}
	return nil
}

func (w *writer) queueRead(batch *pgx.Batch, i int, keys []key) {
	batch.Queue("SELECT key, id, last_day FROM "+definitions[i].table+" WHERE key = ANY($1)", keys).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var k key
			var e entry
			var day time.Time
			if err := rows.Scan(&k, &e.id, &day); err != nil {
				return err
			}
			e.lastDay = dayOf(day)
			w.dictionaries[i].put(k, e)
		}
		return rows.Err()
	})
}

// lockDictionaries lets one transaction at a time change dictionaries, so that
// IDs appear in ascending order and nothing is removed that is being used anew.
const lockDictionaries = "SELECT pg_advisory_xact_lock(hashtext('audit_dictionary'), 0)"

// addEntries adds what is missing, and keeps what is there for longer.
func (w *writer) addEntries(ctx context.Context, missing *[dictionaries]wanted) error {
	batch := aside()
	batch.Queue(lockDictionaries)
	for i, entries := range missing {
		if len(entries) == 0 {
			continue
		}
		keys := slices.SortedFunc(maps.Keys(entries), func(a, b key) int { return slices.Compare(a[:], b[:]) })
		days := make([]time.Time, len(keys))
		for n, k := range keys {
			days[n] = entries[k].day.start()
		}
		batch.Queue(insertEntries[i], append([]any{keys, days}, columnsOf(i, entries, keys)...)...)
		batch.Queue(raiseEntries[i], keys, days)
		w.queueRead(batch, i, keys)
	}
	if err := w.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("add to dictionaries: %w", err)
	}
	return nil
}

// columnsOf returns the values of entries as one slice for each column.
func columnsOf(i int, entries wanted, keys []key) []any {
	columns := make([][]string, len(definitions[i].columns))
	for _, k := range keys {
		for c, value := range definitions[i].columnValues(entries[k].event) {
			columns[c] = append(columns[c], store.Text(value))
		}
	}
	args := make([]any, len(columns))
	for c := range columns {
		args[c] = columns[c]
	}
	return args
}

// insertEntries has for each dictionary the statement that adds entries.
var insertEntries = eachDictionary(func(d *definition) string {
	names, values, arrays := []string{"key", "last_day"}, []string{"w.key", "w.last_day"}, []string{"$1::uuid[]", "$2::date[]"}
	for i, column := range d.columns {
		name, kind, _ := strings.Cut(column, " ")
		names = append(names, name)
		value := "w." + name
		switch kind {
		case "boolean":
			value = "nullif(" + value + ", '" + audit.DryRunUnknown.String() + "')" // the third value of SQL
		case "text[]":
			value = "nullif(" + value + ", '')"
		}
		values = append(values, value+"::"+cmp.Or(kind, "text"))
		arrays = append(arrays, fmt.Sprintf("$%d::text[]", i+3))
	}
	return fmt.Sprintf(`INSERT INTO %[1]s (%[2]s)
		SELECT %[3]s FROM unnest(%[4]s) AS w (%[2]s)
		WHERE NOT EXISTS (SELECT FROM %[1]s AS d WHERE d.key = w.key)`,
		d.table, strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(arrays, ", "))
})

// raiseEntries has for each dictionary the statement that keeps entries longer.
var raiseEntries = eachDictionary(func(d *definition) string {
	return "SELECT audit_keep_entries('" + d.table + "', $1, $2)"
})

func eachDictionary(statement func(d *definition) string) (statements [dictionaries]string) {
	for i := range definitions {
		statements[i] = statement(&definitions[i])
	}
	return statements
}
