package journeys

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// recorded opens a tab that a user has signed in with, at an address over a
// store that has the operator's own records, too.
func recorded(t *testing.T, s store.Store, user, address string) *browsertest.Tab {
	t.Helper()
	tab := browsertest.Serve(t, world.HandlerOver(t, s, s, func(*login.Options) {}), browsertest.Look{})
	tab.SignIn(world.Tokens[user], address)
	return tab
}

// listed returns the IDs of the events that the list shows, page by page.
func listed(tab *browsertest.Tab) []string {
	var ids []string
	for {
		ids = append(ids, browsertest.Eval[[]string](tab, `[...document.querySelectorAll("#rows a.open")].map(a => new URL(a.href).searchParams.get("event"))`)...)
		if !tab.Has(`a[rel="next"]`) {
			return ids
		}
		tab.Go(tab.Attribute(`a[rel="next"]`, "href"))
	}
}

// lines decodes NDJSON.
func lines(t *testing.T, content []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines(content) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, one)
	}
	return all
}

// column returns the cells of a CSV file under a heading.
func column(t *testing.T, content []byte, heading string) []string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(rows[0], heading)
	if at < 0 {
		t.Fatalf("the file has the columns %s", rows[0])
	}
	var cells []string
	for _, row := range rows[1:] {
		cells = append(cells, row[at])
	}
	return cells
}

// The view is downloaded as CSV and as NDJSON, with the events that the list
// shows in their order. That it was is then in the list itself, with the person.
func TestExport(t *testing.T) {
	w := newWeek(t)
	const view = list + "?method_exclude=GET&namespace=billing&namespace=shop"
	tab := recorded(t, w, webtest.Everywhere, view)
	shows(t, tab, w.count(sevenDays, written))
	want := listed(tab)
	if len(want) != w.count(sevenDays, written) {
		t.Fatalf("the list shows %d events", len(want))
	}
	tab.Go(view)
	tab.Click("#toolbar .menu > summary")
	contains(t, "the menu", tab.Text("#toolbar .menu .panel"), "at most 10,000 rows", "recorded")

	name, file := tab.Download(func() { tab.Click(`#toolbar a[href*="/csv?"]`) })
	if !strings.HasPrefix(name, "audit-") || !strings.HasSuffix(name, ".csv") {
		t.Errorf("the file is named %s", name)
	}
	if diff := cmp.Diff(want, column(t, file, "id")); diff != "" {
		t.Errorf("CSV and list differ (-list +file): %s", diff)
	}
	if got, e := column(t, file, "actor"), w.events[0]; got[0] != e.Actor {
		t.Errorf("the first row is of %s, want %s", got[0], e.Actor)
	}
	name, file = tab.Download(func() { tab.Click(`#toolbar a[href*="/ndjson?"]`) })
	var got []string
	for _, line := range lines(t, file) {
		got = append(got, line["id"].(string))
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasSuffix(name, ".ndjson") {
		t.Errorf("%s and list differ (-list +file): %s", name, diff)
	}

	// Both are recorded, from their beginning to their end, as is the log-in.
	tab.Go(list + "?action=project.audit_*&client=operator")
	shows(t, tab, 5)
	rows := strings.Join(tab.Texts("#rows > tr"), "\n")
	if strings.Count(rows, "project.audit_export") != 4 || strings.Count(rows, "project.audit_login") != 1 || strings.Count(rows, "system:serviceaccount:default:everywhere") != 5 {
		t.Errorf("recorded are %s", rows)
	}
	tab.Go(list + "?action=project.audit_export&client=operator&stage=ResponseComplete")
	shows(t, tab, 2)
	tab.Click("#rows > tr:first-child .action")
	tab.Visible("#drawer aside")
	contains(t, "the record", tab.Text("#drawer .json"), `"audit.porter.run/format": "ndjson"`, `"audit.porter.run/rows": "`+itoa(len(want))+`"`, `"audit.porter.run/outcome": "sent"`, "namespace=billing&namespace=shop")
}

// Where the view has more events than an export holds, the menu says so before,
// and the file has the newest.
func TestExportCap(t *testing.T) {
	w := newWeek(t)
	const all = 10_020
	var more []audit.Event
	for i := len(w.events); i < all; i++ {
		// Between the second and the third of the week.
		more = append(more, weekEvent(i, w.events[1].OccurredAt.Add(-time.Duration(i)*time.Millisecond)))
	}
	for batch := range slices.Chunk(more, 2000) {
		w.add(t, batch...)
	}
	tab := at(t, w, webtest.Everywhere, list+"?range=last_30_days", browsertest.Look{})
	tab.Await("the count", `document.querySelector("#count strong").textContent == "10,020"`)
	tab.Click("#toolbar .menu > summary")
	contains(t, "the menu", tab.Text("#toolbar .menu .panel"), "only the newest 10,000 of 10,020 events")
	_, file := tab.Download(func() { tab.Click(`#toolbar a[href*="/csv?"]`) })
	ids := column(t, file, "id")
	if len(ids) != 10_000 || ids[0] != w.events[0].ID.String() || ids[1] != w.events[1].ID.String() {
		t.Errorf("the file has %d rows, and begins with %s", len(ids), ids[:min(2, len(ids))])
	}
	if slices.Contains(ids, w.events[len(w.events)-1].ID.String()) {
		t.Error("the oldest is among them")
	}
	// A narrower view has all of its own.
	tab.Click("#m-time > summary")
	tab.Click(`#m-time input[value="last_hour"]`)
	tab.At(list + "?range=last_hour")
	tab.Await("the menu of the narrower view", `!document.querySelector("#toolbar .menu").textContent.includes("only the newest")`)
}
