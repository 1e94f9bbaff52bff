package dashboard_test

import (
	"strings"
	"testing"

	"github.com/porter-dev/audit-operator/internal/browsertest"
)

// The way of a person who was sent a share URL: sign in, read, open the picker
// by the keyboard, clear it, and see every type.
func TestInABrowser(t *testing.T) {
	tab := browsertest.Serve(t, world.Handler(t, world.Store, false), browsertest.Look{})
	const link = "/security/audit-logs?resource_type=application&resource_type=environment_group"
	tab.SignIn(world.Tokens[everywhere], link)
	tab.At(link)
	if rows := tab.Count("tbody tr"); rows != 4 {
		t.Errorf("after the log-in there are %d rows, want 4", rows)
	}
	tab.Axe("audit-logs")

	tab.Press(".menu > summary", "\r")
	tab.Visible(`.menu input[value="environment_group"]`)
	offered := tab.Text(".menu fieldset")
	for _, name := range []string{"Application", "Datastore", "Add-on", "Environment group", "Cluster", "Project"} {
		if !strings.Contains(offered, name) {
			t.Errorf("the picker lacks %s", name)
		}
	}
	tab.Axe("picker")
	tab.Press(`.menu input[value="application"]`, " ")
	tab.Press(`.menu input[value="environment_group"]`, " ")
	tab.Press(".menu button", "\r")
	tab.At("/security/audit-logs")
	if rows := tab.Count("tbody tr"); rows != len(world.Events) {
		t.Errorf("without types there are %d rows, want all %d", rows, len(world.Events))
	}

	tab.Click("tbody tr:first-child a")
	tab.Visible(".facts")
	tab.Axe("event")
	tab.Go("/security/snapshots/" + world.Snapshots["shop"].ID)
	tab.Visible(".facts")
	tab.Axe("snapshot")
}
