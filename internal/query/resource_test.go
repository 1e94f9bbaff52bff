package query

import (
	"errors"
	"net/url"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
)

func TestResourceText(t *testing.T) {
	for want, e := range map[string]audit.Event{
		"pods":                   {Resource: "pods"},
		"pods/exec":              {Resource: "pods", Subresource: "exec"},
		"deployments.apps":       {Resource: "deployments", APIGroup: "apps"},
		"deployments.apps/scale": {Resource: "deployments", APIGroup: "apps", Subresource: "scale"},
		"":                       {APIGroup: "apps", Subresource: "scale"},
	} {
		if got := ResourceText(&e); got != want {
			t.Errorf("%+v is %q, want %q", e, got, want)
		}
	}
}

// A resource without its group would find nothing, so that the error has the
// name to write.
func TestGrouplessResources(t *testing.T) {
	for v, problem := range map[string]string{
		"deployments":       "needs its API group: write deployments.apps; after = a value is literal",
		"deployments/scale": "needs its API group: write deployments.apps/scale; after = a value is literal",
		"rolebindings":      "needs its API group: write rolebindings.rbac.authorization.k8s.io; after = a value is literal",
		"=deployments":      "", "deployments.apps": "", "pods": "", "events": "", "widgets": "", "*/scale": "", "*/deployments": "",
	} {
		for _, parameter := range []string{"resource", "resource_exclude"} {
			_, err := ParseValues(url.Values{parameter: {v}})
			var wrong *FieldError
			if problem == "" && err != nil || problem != "" && (!errors.As(err, &wrong) || wrong.Problem != problem || wrong.Field != parameter) {
				t.Errorf("%s=%s: %v, want %q", parameter, v, err, problem)
			}
		}
	}
}

func TestShellResources(t *testing.T) {
	var f Filter
	for _, v := range ShellResources() {
		if err := FieldOf("resource").Add(&f.Terms, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Validate(); err != nil {
		t.Error(err)
	}
	want := []string{"*/exec", "*/attach", "*/portforward", "*/ephemeralcontainers", "*/console", "*/vnc", "*/usbredir", "*/vsock", "*/proxy"}
	if diff := cmp.Diff(want, f.Resources); diff != "" {
		t.Error(diff)
	}
}

// Each list of Terms is one field, and none is forgotten: what no URL writes
// would be lost on the way to the page.
func TestEveryTermIsAField(t *testing.T) {
	terms := Terms{}
	v := reflect.ValueOf(&terms).Elem()
	lists := map[any]string{}
	for i := range v.NumField() {
		lists[v.Field(i).Addr().Interface()] = v.Type().Field(i).Name
	}
	delete(lists, any(&terms.IPs))
	for _, field := range Fields {
		if field.list == nil {
			continue
		}
		list := field.list(&terms)
		if lists[list] == "" {
			t.Errorf("the list of %s is another field's too", field.Name)
		}
		delete(lists, list)
	}
	if len(lists) > 0 {
		t.Errorf("no field for %v", lists)
	}
}
