package crdconv

import (
	"strings"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
)

// TypeValue returns the value that queries and URLs write for the
// AuditResourceType of a name: my_type for my-type.
func TypeValue(objectName string) string { return strings.ReplaceAll(objectName, "-", "_") }

// ResourceType returns the resource type that an object defines.
func ResourceType(t *v1alpha1.AuditResourceType) audit.ResourceType {
	out := audit.ResourceType{
		Name: TypeValue(t.Name), DisplayName: t.Spec.DisplayName, Description: t.Spec.Description, Priority: int(t.Spec.Priority),
		PlatformType: t.Spec.PlatformType,
	}
	for _, r := range t.Spec.Match {
		out.Match = append(out.Match, audit.Rule{
			APIGroups: unique(r.APIGroups), Resources: unique(r.Resources), Subresources: unique(r.Subresources),
			Namespaces: unique(r.Namespaces), Names: unique(r.Names), SecretTypes: unique(r.SecretTypes),
			Reason: r.Reason,
		})
	}
	return out
}

// ResourceTypeObject returns the object that defines a resource type.
func ResourceTypeObject(t audit.ResourceType) *v1alpha1.AuditResourceType {
	o := &v1alpha1.AuditResourceType{}
	o.Name = strings.ReplaceAll(t.Name, "_", "-")
	o.Spec = v1alpha1.AuditResourceTypeSpec{DisplayName: t.DisplayName, Description: t.Description, Priority: int32(t.Priority), PlatformType: t.PlatformType}
	for _, r := range t.Match {
		o.Spec.Match = append(o.Spec.Match, v1alpha1.MatchRule(r))
	}
	return o
}
