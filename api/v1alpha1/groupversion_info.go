// Package v1alpha1 holds the resources of audit.porter.run/v1alpha1.
//
// What a schema can check is checked at admission, with messages that say what
// to write instead, so that a mistake in Git fails where it is applied.
// +kubebuilder:object:generate=true
// +groupName=audit.porter.run
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every resource in this package.
	GroupVersion = schema.GroupVersion{Group: "audit.porter.run", Version: "v1alpha1"}

	// SchemeBuilder collects the functions that add the types to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&AuditLogQuery{}, &AuditLogQueryList{},
		&ClusterAuditLogQuery{}, &ClusterAuditLogQueryList{},
		&AuditSource{}, &AuditSourceList{},
		&AuditResourceType{}, &AuditResourceTypeList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
