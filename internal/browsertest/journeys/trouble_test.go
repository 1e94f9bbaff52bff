package journeys

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Where a session has ended, whatever is clicked next leads to the log-in, and
// from there to what was wanted.
func TestSessionEnds(t *testing.T) {
	w := newWeek(t)
	tab := at(t, w, webtest.Everywhere, list, browsertest.Look{})
	deletions := w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "DELETE" })
	e := w.events[2]
	for i, step := range []struct {
		do    func()
		leads string
	}{
		{func() { tab.Click(`#m-method input[name="method"][value="DELETE"]`) }, list + "?method=DELETE"},
		{func() { tab.Click("#rows > tr:first-child .action") }, list + "?method=DELETE&event=" + e.ID.String()},
		{func() {
			tab.Click("#toolbar .menu > summary")
			tab.Click("#toolbar a[href*='/csv?']")
		}, list + "?method=DELETE"},
		{func() { tab.Click("#toolbar a[href*='/query?']") }, list + "/query?method=DELETE"},
		{func() { tab.Click("a[href*='/yaml?']") }, list + "/query?method=DELETE&name=audit-query"},
	} {
		if i == 0 {
			tab.Click("#m-method > summary")
			tab.Await("the counts", `!!document.querySelector("#v-method .n")`)
		}
		tab.ForgetCookies()
		step.do()
		tab.Visible("#token")
		if tab.Has("#rows") {
			t.Error("without a session there are events")
		}
		tab.Fill("#token", world.Tokens[webtest.Everywhere])
		tab.Keys("\r")
		tab.At(step.leads)
		if i == 0 {
			shows(t, tab, deletions)
		}
	}
	// The live tail notices by itself.
	tab.Go(list + "?live=1")
	tab.Visible("#tail[data-state=live]")
	tab.ForgetCookies()
	tab.Visible("#token")
}

// Where the server can't be reached, the page says so, keeps what it has, and
// goes on when it is back: the tail by itself.
func TestServerAway(t *testing.T) {
	w := newWeek(t)
	h := world.Handler(t, w, false)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	var server *http.Server
	serve := func(l net.Listener) {
		server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		go func(s *http.Server) { _ = s.Serve(l) }(server) // until it is closed
	}
	serve(listener)
	t.Cleanup(func() { _ = server.Close() })
	tab := browsertest.Open(t, "http://"+address, browsertest.Look{})
	for _, complaint := range []string{"ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "htmx:sendError"} {
		tab.Tolerate(complaint)
	}
	const deletions = list + "?method=DELETE"
	tab.SignIn(world.Tokens[webtest.Everywhere], deletions+"&live=1")
	tab.Visible("#tail[data-state=live]")
	n := w.count(sevenDays, func(e *audit.Event) bool { return e.Method == "DELETE" })
	shows(t, tab, n)

	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	tab.Visible("#tail[data-state=lost]")
	contains(t, "the tail", tab.Text("#tail"), "No connection", "Trying again")
	tab.Fill("#search", "thing-1\r")
	tab.Visible("#results .problem")
	contains(t, "the page", tab.Text("#results .problem"), "can’t be reached", "try again")
	if rows := tab.Count("#rows > tr"); rows != n {
		t.Errorf("%d rows are left, want %d", rows, n)
	}

	back, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	serve(back)
	w.add(t, weekEvent(162, time.Now().UTC().Truncate(time.Microsecond)))
	tab.Visible("#tail[data-state=live]")
	tab.Await("what arrived meanwhile", `document.querySelectorAll("#rows > tr").length == `+itoa(n+1))
	tab.Fill("#search", "thing-2\r")
	tab.At(list + "?method=DELETE&search=thing-2&live=1")
	tab.Hidden("#results .problem")
	tab.Await("what is found", `[...document.querySelectorAll("#rows .name")].every(e => e.textContent.startsWith("thing-2"))`)
}
