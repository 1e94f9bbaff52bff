package crdconv_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

var update = flag.Bool("update", false, "write config/resourcetypes anew from the built-in types")

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
