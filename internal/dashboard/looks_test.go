package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/porter-dev/audit-operator/internal/browsertest"
)

// state is what a page can be in: at a path, and after what a person did there.
type state struct {
	name, path string
	do         func(tab *browsertest.Tab)
}

// stage is a server with its states, as one person sees them.
type stage struct {
	name     string
	at       func(t *testing.T) string // starts the server, and says where it is
	user     string                    // who is signed in; empty is nobody
	tolerate []string                  // what the browser says of the states' errors
	noScript bool
	states   []state
}

// eyes are how people look at each state.
var eyes = []browsertest.Look{
	{}, {Theme: browsertest.Dark}, {Width: browsertest.Phone, Theme: browsertest.Dark}, {Width: browsertest.Phone},
}

// Every page, in every state that it can be in, keeps nobody out: no breach of
// WCAG 2.2 AA in either theme, at a laptop's and a phone's width; nothing
// scrolls sideways down to 320 pixels; all that the keyboard reaches shows it
// and is seen; a click goes to what is aimed at; and nothing moves for those who want no motion.
func TestLooks(t *testing.T) {
	for _, stage := range stages(t) {
		t.Run(stage.name, func(t *testing.T) {
			tab := browsertest.Open(t, stage.at(t), browsertest.Look{})
			for _, text := range stage.tolerate {
				tab.Tolerate(text)
			}
			if stage.user != "" {
				tab.SignIn(world.Tokens[stage.user], "/security/snapshots")
			}
			for _, s := range stage.states {
				s.look(tab, stage.noScript)
			}
		})
	}
}

// look looks at a state with all eyes. What needs no scripts is loaded without
// them; axe-core itself is one.
func (s state) look(tab *browsertest.Tab, noScript bool) {
	tab.As(browsertest.Look{NoScript: noScript})
	tab.Go(s.path)
	if s.do != nil {
		s.do(tab)
	}
	for _, look := range eyes {
		tab.As(look)
		tab.Axe(s.name)
	}
	tab.Reflow(s.name)
	tab.As(browsertest.Look{ReducedMotion: true})
	tab.Still(s.name)
	if noScript && tab.Has("details.menu[open]") {
		return // until its button closes it, it covers what is below
	}
	for _, width := range []int{browsertest.Phone, browsertest.Laptop} {
		tab.As(browsertest.Look{Width: width})
		tab.Keyboard(s.name)
	}
	if !tab.Has("details.menu[open]") { // what is open covers what is below
		tab.Pointer(s.name)
	}
}

// server returns the address of a server that ends with the test.
func server(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
