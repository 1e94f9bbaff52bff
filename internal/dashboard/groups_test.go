package dashboard_test

import (
	"html"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
)

var groupsField = regexp.MustCompile(`<dt>(Groups[^<]*)</dt><dd><bdi>([^<]*)</bdi>`)

// An event's page has the groups of both identities, and no name of one reads as
// two.
func TestGroupsOfAnEvent(t *testing.T) {
	e := someEvent(time.Minute)
	e.ID, e.Actor, e.ActedVia = audit.ID{8}, "bob", "alice"
	e.Groups, e.ActedViaGroups = []string{"dev", "a, b", `"c"`, " d", "<e>"}, []string{"system:masters"}
	page := at(t, everywhere, e).Get(t, "/security/audit-logs/events/"+e.ID.String()).Body
	got := map[string]string{}
	for _, m := range groupsField.FindAllStringSubmatch(page, -1) {
		got[m[1]] = html.UnescapeString(m[2])
	}
	want := map[string]string{"Groups": `dev, "a, b", "\"c\"", " d", <e>`, "Groups of acted via": "system:masters"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
