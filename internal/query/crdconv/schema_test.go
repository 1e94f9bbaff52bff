package crdconv

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// The API imports nothing internal, so its enums repeat lists of the event
// model. They must not drift apart.
func TestEnumsAreTheModels(t *testing.T) {
	for _, file := range []string{"auditlogqueries", "clusterauditlogqueries"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "crd", "bases", "audit.porter.run_"+file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var crd map[string]any
		if err := yaml.Unmarshal(content, &crd); err != nil {
			t.Fatal(err)
		}
		versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
		if err != nil || len(versions) != 1 {
			t.Fatalf("%s has %d versions, %v; want one", file, len(versions), err)
		}
		for _, path := range [][]string{{"spec"}, {"spec", "properties", "exclude"}} {
			for field, want := range map[string][]string{
				"methods": audit.Methods, "clients": audit.Clients, "stages": audit.Stages,
			} {
				at := append([]string{"schema", "openAPIV3Schema", "properties"}, path...)
				at = append(at, "properties", field, "items", "enum")
				got, _, err := unstructured.NestedStringSlice(versions[0].(map[string]any), at...)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: enum of %v.%s (-model +schema):\n%s", file, path, field, diff)
				}
			}
		}
	}
}

// A term that the conversion forgets would make every filter that uses it
// wider. This keeps everyTerm, which the conversions are tested with, whole.
func TestEveryTermIsTested(t *testing.T) {
	for _, terms := range []any{everyTerm(), everyFilterTerm()} {
		v := reflect.ValueOf(terms)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Clusters" || name == "Namespaces" || name == "Sources" {
				continue // PlaceTerms of the resource; TestFilterFromCluster has them
			}
			if name == "Paths" || name == "ActorKinds" {
				continue // the resources have no such field, and TestManifestsRefuse that they are left out
			}
			if v.Field(i).IsZero() {
				t.Errorf("%T leaves %s empty", terms, name)
			}
		}
	}
}
