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

	tab.Press("#m-resource_type > summary", "\r")
	tab.Visible(`.in input[value="environment_group"]`)
	offered := tab.Text("#m-resource_type fieldset")
	for _, name := range []string{"Application", "Datastore", "Add-on", "Environment group", "Cluster", "Project"} {
		if !strings.Contains(offered, name) {
			t.Errorf("the picker lacks %s", name)
		}
	}
	tab.Axe("picker")
	tab.Press(`.in input[value="application"]`, " ")
	tab.Press(`.in input[value="environment_group"]`, " ")
	tab.At("/security/audit-logs")
	tab.Hidden("#chips")
	if rows := tab.Count("tbody tr"); rows != len(world.Events) {
		t.Errorf("without types there are %d rows, want all %d", rows, len(world.Events))
	}

	tab.Go("/security/audit-logs/events/" + world.Events["shop-app"].ID.String())
	tab.Visible(".facts")
	tab.Axe("event")
	tab.Go("/security/snapshots/" + world.Snapshots["shop"].ID)
	tab.Visible(".facts")
	tab.Axe("snapshot")
}
