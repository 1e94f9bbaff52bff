package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditResourceTypeSpec says which requests belong to a resource type.
type AuditResourceTypeSpec struct {
	// displayName is what the dashboard calls the type.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	DisplayName string `json:"displayName"`

	// description says what the type holds.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// priority decides between types: the higher one's rules are asked first,
	// and the first match wins. Equal ones are asked in the order of their names.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=-1000
	// +kubebuilder:validation:Maximum=1000
	Priority int32 `json:"priority"`

	// platformType is the resource type of what the rules match in a platform
	// namespace, as queries write it; absent, it is this one. The flag
	// --platform-namespaces says which namespaces those are.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([_a-z0-9]*[a-z0-9])?$')",message="platformType: write the type as queries do, with _ for -, like addon"
	PlatformType string `json:"platformType,omitempty"`

	// match holds alternatives; a request belongs to the type when any matches.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Match []MatchRule `json:"match,omitempty"`
}

// MatchRule matches a request when each of its lists has a value that does. An
// absent list matches anything. One trailing * matches any rest.
// +kubebuilder:validation:XValidation:rule="has(self.apiGroups) || has(self.resources) || has(self.subresources) || has(self.namespaces) || has(self.names) || has(self.secretTypes)",message="match: give at least one of apiGroups, resources, subresources, namespaces, names, secretTypes"
type MatchRule struct {
	// apiGroups are API groups; the empty string is the core group.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*') || self.indexOf('*') == self.size() - 1",message="apiGroups: * may only be the last character, like database.*"
	APIGroups []string `json:"apiGroups,omitempty"`

	// resources are plural resource names.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*') || self.indexOf('*') == self.size() - 1",message="resources: * may only be the last character, like kafka*"
	Resources []string `json:"resources,omitempty"`

	// subresources are subresource names; the empty string is the object itself.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*') || self.indexOf('*') == self.size() - 1",message="subresources: * may only be the last character, like proxy*"
	Subresources []string `json:"subresources,omitempty"`

	// namespaces are names of namespaces.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*') || self.indexOf('*') == self.size() - 1",message="namespaces: * may only be the last character, like kube-*"
	Namespaces []string `json:"namespaces,omitempty"`

	// names are names of objects. In them * stands for any text, wherever it
	// is, ? for one character, and [abc] for one of these.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches(r'^([^][\\\\]|\\[[a-z0-9]+\\])*$')",message="names: write names, with * for any text, ? for one character and [abc] for one of these, like *-token-?????"
	Names []string `json:"names,omitempty"`

	// secretTypes are types of Secrets, as the request's or the answer's body
	// says; the empty string is a Secret whose event has no such body. What is
	// no Secret never matches.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*') || self.indexOf('*') == self.size() - 1",message="secretTypes: * may only be the last character, like kubernetes.io/*"
	SecretTypes []string `json:"secretTypes,omitempty"`

	// reason says to people why the rule belongs to the type.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Reason string `json:"reason,omitempty"`
}

// AuditResourceTypeStatus says whether the rules are in use.
type AuditResourceTypeStatus struct {
	// observedGeneration is the generation of the spec that the status speaks
	// of; -1 until the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// value is what queries and URLs write for the type: the object's name with
	// _ for -.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`
}

// AuditResourceType defines a resource type that events are classified as when
// they come in. Deleting it leaves old events and queries that name it working.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=art,categories=audit
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name: write at most 63 lower-case letters, digits and -, beginning with a letter, like message-queue"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Value",type=string,JSONPath=`.status.value`
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AuditResourceType struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which requests belong to the type.
	// +required
	Spec AuditResourceTypeSpec `json:"spec"`

	// status says whether the rules are in use.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AuditResourceTypeStatus `json:"status,omitempty"`
}

// GetConditions returns the status conditions.
func (t *AuditResourceType) GetConditions() []metav1.Condition { return t.Status.Conditions }

// SetConditions replaces the status conditions.
func (t *AuditResourceType) SetConditions(c []metav1.Condition) { t.Status.Conditions = c }

// AuditResourceTypeList is a list of AuditResourceTypes.
// +kubebuilder:object:root=true
type AuditResourceTypeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuditResourceType `json:"items"`
}
