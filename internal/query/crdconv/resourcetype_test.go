package crdconv_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

var update = flag.Bool("update", false, "write config/resourcetypes and the table of docs/spec anew from the built-in types")

const shipped = "../../../config/resourcetypes"

// The objects that ship say the same as the types that are compiled in, so
// that a change of one is seen in the other. Run with -update after a change.
func TestShippedResourceTypes(t *testing.T) {
	kustomization := "# The built-in types, written by: go test ./internal/query/crdconv -update\n" +
		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, builtIn := range audit.BuiltInResourceTypes() {
		object := crdconv.ResourceTypeObject(builtIn)
		if diff := cmp.Diff(builtIn, crdconv.ResourceType(object)); diff != "" {
			t.Errorf("%s is another as an object: %s", builtIn.Name, diff)
		}
		checkShipped(t, object.Name+".yaml", manifest(t, object))
		kustomization += "  - " + object.Name + ".yaml\n"
	}
	checkShipped(t, "kustomization.yaml", []byte(kustomization))
}

func manifest(t *testing.T, o *v1alpha1.AuditResourceType) []byte {
	t.Helper()
	out, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "AuditResourceType", "metadata": map[string]string{"name": o.Name}, "spec": o.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func checkShipped(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(shipped, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the code says; run go test ./internal/query/crdconv -update\n%s", name, cmp.Diff(string(want), string(got)))
	}
}

// The documentation lists the rules that are built in, with their reasons.
func TestDocumentedResourceTypes(t *testing.T) {
	const page, begin, end = "../../../docs/spec/auditresourcetypes.md", "<!-- built-in rules: go test ./internal/query/crdconv -update -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no table of built-in rules", page)
	}
	want := before + begin + ruleTable() + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is not what the rules say; run go test ./internal/query/crdconv -update\n%s", page, diff)
	}
}

func ruleTable() string {
	code := func(values []string) string {
		var out []string
		for _, v := range values {
			if v == "" {
				v = `""`
			}
			out = append(out, "`"+v+"`")
		}
		return strings.Join(out, ", ")
	}
	table := "| type | API groups | which of them | because they are |\n|---|---|---|---|\n"
	for _, builtIn := range audit.BuiltInResourceTypes() {
		for _, r := range builtIn.Match {
			var which []string
			for _, list := range []struct {
				name   string
				values []string
			}{{"", r.Resources}, {"subresources ", r.Subresources}, {"in ", r.Namespaces}, {"named ", r.Names}, {"of the Secret type ", r.SecretTypes}} {
				if len(list.values) > 0 {
					which = append(which, list.name+code(list.values))
				}
			}
			table += "| `" + builtIn.Name + "` | " + code(r.APIGroups) + " | " + strings.Join(which, "; ") + " | " + r.Reason + " |\n"
		}
	}
	return table
}

// Each rule says why it is there, and none is cut by what the API server takes.
func TestBuiltInRulesHaveReasons(t *testing.T) {
	for _, builtIn := range audit.BuiltInResourceTypes() {
		if len(builtIn.Match) > 100 || len(builtIn.Description) > 1024 {
			t.Errorf("%s has %d rules and a description of %d bytes", builtIn.Name, len(builtIn.Match), len(builtIn.Description))
		}
		named := map[string]int{}
		for i, r := range builtIn.Match {
			if r.Reason == "" || len(r.APIGroups) > 100 {
				t.Errorf("%s, rule %d: %d groups, reason %q", builtIn.Name, i+1, len(r.APIGroups), r.Reason)
			}
			for _, group := range r.APIGroups {
				if before, twice := named[group]; twice && len(builtIn.Match[before].Resources) == 0 && len(r.Names)+len(r.SecretTypes) == 0 {
					t.Errorf("%s, rule %d: %s is rule %d's", builtIn.Name, i+1, group, before+1)
				}
				named[group] = i
			}
		}
	}
}
