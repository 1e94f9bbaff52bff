package dashboard_test

import (
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
