package audit

import (
	"embed"
	"fmt"
	"slices"
	"sync"

	"sigs.k8s.io/yaml"
)

// BuiltInResourceTypes returns the types that are known without any
// AuditResourceType, in the order in which they are shown.
func BuiltInResourceTypes() []ResourceType { return slices.Clone(builtInTypes()) }

// builtInNames are the files in resourcetypes, in the order in which the types
// are shown.
var builtInNames = []string{"application", "datastore", "addon", "environment_group", "cluster", "project"}

//go:embed resourcetypes/*.yaml
var builtInFiles embed.FS

// builtInTypes reads the rules, once. A mistake in them is found by any test.
var builtInTypes = sync.OnceValue(func() []ResourceType {
	var types []ResourceType
	for _, name := range builtInNames {
		t, err := readResourceType(name)
		if err != nil {
			panic(fmt.Sprintf("built-in resource type %s: %v", name, err))
		}
		types = append(types, t)
	}
	return types
})

func readResourceType(name string) (ResourceType, error) {
	text, err := builtInFiles.ReadFile("resourcetypes/" + name + ".yaml")
	if err != nil {
		return ResourceType{}, err
	}
	// The shape of an AuditResourceType's spec.
	var spec struct {
		DisplayName  string `json:"displayName"`
		Description  string `json:"description"`
		Priority     int    `json:"priority"`
		PlatformType string `json:"platformType"`
		Match        []Rule `json:"match"`
	}
	if err := yaml.UnmarshalStrict(text, &spec); err != nil {
		return ResourceType{}, err
	}
	t := ResourceType{
		Name: name, DisplayName: spec.DisplayName, Description: spec.Description, Priority: spec.Priority,
		PlatformType: spec.PlatformType, Match: spec.Match,
	}
	_, err = inOrder([]ResourceType{t})
	return t, err
}

// DefaultPlatformNamespaces returns the namespaces of what distributions and
// widely used add-ons install under a name of their own choice.
func DefaultPlatformNamespaces() []string { return slices.Clone(platformDefault) }

var platformDefault = []string{
	"kube-system", "kube-public", "kube-node-lease",
	"openshift", "openshift-*", // OpenShift reserves them
	"calico-system", "calico-apiserver", "tigera-operator", "kube-flannel", "cilium-secrets", // networks
	"cattle-*", "longhorn-system", "local-path-storage", "system-upgrade", // Rancher and k3s
	"gke-managed-*", "gke-gmp-system", "gmp-system", "gmp-public", "cnrm-system", "config-management-system", "asm-system", // GKE
	"amazon-cloudwatch", "amazon-guardduty", "aws-observability", // EKS
	"aks-command", "aks-istio-*", "app-routing-system", "azure-arc", // AKS
	"cert-manager", "crossplane-system", "external-secrets", "flux-system", "gatekeeper-system", "ingress-nginx", // add-ons
	"istio-system", "knative-serving", "kyverno", "metallb-system", "rook-ceph",
}
