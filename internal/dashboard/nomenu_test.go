package dashboard_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What addresses may ask for and no menu has stays when the form is sent, and
// chips show it. The words are those of Porter's page.
func TestFieldsWithoutMenuStay(t *testing.T) {
	b := world.As(t, everywhere)
	const q = "?path=%2Fpath-of-shop-*&actor_kind_exclude=node&method_exclude=GET&range=last_24_hours"
	if diff := cmp.Diff([]string{"shop-app", "shop-env", "shop-project"}, keysOf(t, b, q)); diff != "" {
		t.Error(diff)
	}
	page := b.Get(t, listPath+q).Body
	for _, field := range []string{`<input type="hidden" name="path" value="/path-of-shop-*">`, `<input type="hidden" name="actor_kind_exclude" value="node">`, `scope="col">Timestamp (<`} {
		if strings.Count(page, field) != 1 {
			t.Errorf("the page has %q %d times", field, strings.Count(page, field))
		}
	}
	var got []string
	for _, item := range chipItem.FindAllString(chipPart.FindString(page), -1) {
		got = append(got, textOf(item))
	}
	want := []string{"Method excludes Remove GET ×", "Path is any of Remove /path-of-shop-* ×", "Kind of actor excludes Remove node ×", "Date range is Remove Last 24 hours ×"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What incident responders ask for has menus, chips and, for shells, one click.
func TestFiltersOfIncidents(t *testing.T) {
	b := world.As(t, everywhere)
	const q = "?resource=things&resource_exclude=%2A%2Fexec&audit_id_exclude=some&user_agent_exclude=kubectl%2F&method_exclude=GET&range=last_24_hours"
	if got := keysOf(t, b, q); len(got) == 0 {
		t.Error("the filter finds nothing")
	}
	page := b.Get(t, listPath+q).Body
	for _, field := range []string{
		`<input type="checkbox" name="resource" value="things" checked>`, `<input type="checkbox" name="resource_exclude" value="*/exec" checked>`,
		`<input type="checkbox" name="audit_id_exclude" value="some" checked>`, `<input type="checkbox" name="user_agent_exclude" value="kubectl/" checked>`,
		`<input name="audit_id" maxlength="257"`, `<input name="audit_id_exclude" maxlength="257"`,
	} {
		if strings.Count(page, field) != 1 {
			t.Errorf("the page has %q %d times", field, strings.Count(page, field))
		}
	}
	var got []string
	for _, item := range chipItem.FindAllString(chipPart.FindString(page), -1) {
		got = append(got, textOf(item))
	}
	want := []string{"Method excludes Remove GET ×", "Resource is any of Remove things ×", "Resource excludes Remove */exec ×", "Audit ID excludes Remove some ×",
		"User agent excludes Remove kubectl/ ×", "Date range is Remove Last 24 hours ×"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	menu := b.Do(t, http.MethodGet, listPath+"/values/resource?resource=pods%2Fexec&method=POST", nil, asScript).Body
	_, link, _ := strings.Cut(menu, `<p class="note"><a href="`)
	link, label, _ := strings.Cut(link, `">`)
	const shells = listPath + "?method=POST&resource=pods%2Fexec&resource=%2A%2Fexec&resource=%2A%2Fattach&resource=%2A%2Fportforward&resource=%2A%2Fephemeralcontainers" +
		"&resource=%2A%2Fconsole&resource=%2A%2Fvnc&resource=%2A%2Fusbredir&resource=%2A%2Fvsock&resource=%2A%2Fproxy"
	if html.UnescapeString(link) != shells || !strings.HasPrefix(label, "Shells</a>") {
		t.Errorf("the group of shells is %q to %s", label[:min(len(label), 20)], link)
	}
	if answer := b.Get(t, html.UnescapeString(link)); answer.Status != http.StatusOK {
		t.Errorf("the group of shells: status %d", answer.Status)
	}
	// What is typed without its group is offered with it.
	typed := b.Do(t, http.MethodGet, listPath+"/values/resource?contains=deployments", nil, asScript).Body
	if !strings.Contains(typed, `name="resource" value="deployments.apps"`) || !strings.Contains(typed, "needs its API group") {
		t.Errorf("deployments is answered with %s", typed)
	}
	if answer := b.Get(t, listPath+"/values/audit_id"); answer.Status != http.StatusNotFound {
		t.Errorf("values of the audit ID: status %d", answer.Status)
	}
}
