package journeys

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// From the navigation to the snapshots, page by page, to one of them, to its
// file, to the command that proves it; and back to the view that it was of. Who
// downloaded it is in the list.
func TestSnapshots(t *testing.T) {
	w := newWeek(t)
	const queries = 60
	now := time.Now()
	var taken []store.Manifest
	for i := range queries {
		taken = append(taken, takeSnapshot(t, w, fmt.Sprintf("query-%02d", i), now.Add(time.Duration(i)*time.Second)))
	}
	slices.Reverse(taken) // newest first, as they are listed
	tab := recorded(t, w, webtest.InShop, entrance)
	tab.AllowClipboard()
	tab.Click(`header nav a[href="/security/snapshots"]`)
	tab.At("/security/snapshots")
	const names = `[...document.querySelectorAll("tbody .name")].map(e => e.textContent)`
	seen := browsertest.Eval[[]string](tab, names)
	tab.Click(`a[rel="next"]`)
	tab.Await("the next page", `location.search != "" && document.readyState == "complete"`)
	seen = append(seen, browsertest.Eval[[]string](tab, names)...)
	if len(seen) != queries {
		t.Errorf("two pages have %d snapshots, want %d", len(seen), queries)
	}
	for i := range min(len(seen), queries) {
		if seen[i] != taken[i].Owner.Name {
			t.Fatalf("the snapshots are %s, want the newest first", seen)
		}
	}

	m := taken[55] // on the second page
	tab.Click(`tbody a[href^="/security/snapshots/` + m.ID + `"]`)
	tab.Visible("#digest")
	page := tab.Text("main")
	contains(t, "the page", page, m.Owner.Name, m.ID, m.Digest, m.ManifestDigest, itoa(int(m.Matched))+" events matched", "method: DELETE")
	if n := w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "DELETE" && e.Namespace == "shop" }); int(m.Matched) != n || n == 0 {
		t.Errorf("%d events matched, want %d", m.Matched, n)
	}
	name, file := tab.Download(func() { tab.Click("a[href*='/ndjson']") })
	if got := len(lines(t, file)); got != int(m.Stored) {
		t.Errorf("the file has %d lines, want %d", got, m.Stored)
	}
	// The command that the page shows says that the file is what was stored, and
	// notices when it is not.
	tab.Click("[data-copy-from=check]")
	tab.Await("the command is copied", `document.querySelector("#toast").textContent == "Command copied"`)
	dir, run := shell(t)
	if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "the check", run(tab.Clipboard()), "OK")
	if err := os.WriteFile(filepath.Join(dir, name), append(file, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "the check of another file", run("{ "+strings.TrimSpace(tab.Clipboard())+"; } 2>&1 || echo noticed"), "FAILED", "noticed")

	tab.Click(".actions a[href*='method=DELETE']")
	tab.At(list + "?method=DELETE&namespace=shop")
	shows(t, tab, int(m.Matched))
	// The record of the download belongs to the namespace, whose readers see it.
	tab.Go(list + "?action=project.audit_snapshot_download&client=operator")
	shows(t, tab, 2)
	contains(t, "the record", tab.Text("#rows"), "system:serviceaccount:default:shop", m.ID)
}
