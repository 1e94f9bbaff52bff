package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Query is what both kinds of query are, so that one controller serves both.
// +kubebuilder:object:generate=false
type Query interface {
	metav1.Object
	runtime.Object
	// GetSpec returns the part of the spec that both kinds share.
	GetSpec() *QuerySpec
	GetStatus() *AuditLogQueryStatus
	GetConditions() []metav1.Condition
	SetConditions([]metav1.Condition)
}

var _, _ Query = &AuditLogQuery{}, &ClusterAuditLogQuery{}

// AuditLogQuerySpec selects events of the object's own namespace.
type AuditLogQuerySpec struct {
	QuerySpec `json:",inline"`

	// exclude takes out what any of its terms matches. An actor is taken out
	// only when every identity of the event matches.
	// +optional
	Exclude *Terms `json:"exclude,omitempty"`
}

// AuditLogQuery answers which requests its namespace received. Whoever may
// create or read one may read the audit events of that namespace.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=alq,categories=audit
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.snapshot.matched`
// +kubebuilder:printcolumn:name="Types",type=string,JSONPath=`.status.types`
// +kubebuilder:printcolumn:name="Window",type=string,JSONPath=`.status.window`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Share URL",type=string,priority=1,JSONPath=`.status.shareURL`
type AuditLogQuery struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which events to select; an empty one selects all of the last 7
	// days.
	// +optional
	// +kubebuilder:default={}
	Spec AuditLogQuerySpec `json:"spec,omitempty"`

	// status is the answer.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AuditLogQueryStatus `json:"status,omitempty"`
}

// GetSpec returns the part of the spec that both kinds of query share.
func (q *AuditLogQuery) GetSpec() *QuerySpec { return &q.Spec.QuerySpec }

// GetStatus returns the status.
func (q *AuditLogQuery) GetStatus() *AuditLogQueryStatus { return &q.Status }

// GetConditions returns the status conditions.
func (q *AuditLogQuery) GetConditions() []metav1.Condition { return q.Status.Conditions }

// SetConditions replaces the status conditions.
func (q *AuditLogQuery) SetConditions(c []metav1.Condition) { q.Status.Conditions = c }

// AuditLogQueryList is a list of AuditLogQueries.
// +kubebuilder:object:root=true
type AuditLogQueryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuditLogQuery `json:"items"`
}

// ClusterAuditLogQuerySpec selects events of every cluster and namespace.
type ClusterAuditLogQuerySpec struct {
	QuerySpec  `json:",inline"`
	PlaceTerms `json:",inline"`

	// exclude takes out what any of its terms matches. An actor is taken out
	// only when every identity of the event matches.
	// +optional
	Exclude *ClusterTerms `json:"exclude,omitempty"`
}

// ClusterAuditLogQuery answers which requests every cluster received. Whoever
// may create or read one may read every audit event.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=calq,categories=audit
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.snapshot.matched`
// +kubebuilder:printcolumn:name="Types",type=string,JSONPath=`.status.types`
// +kubebuilder:printcolumn:name="Window",type=string,JSONPath=`.status.window`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Share URL",type=string,priority=1,JSONPath=`.status.shareURL`
type ClusterAuditLogQuery struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which events to select; an empty one selects all of the last 7
	// days.
	// +optional
	// +kubebuilder:default={}
	Spec ClusterAuditLogQuerySpec `json:"spec,omitempty"`

	// status is the answer.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AuditLogQueryStatus `json:"status,omitempty"`
}

// GetSpec returns the part of the spec that both kinds of query share.
func (q *ClusterAuditLogQuery) GetSpec() *QuerySpec { return &q.Spec.QuerySpec }

// GetStatus returns the status.
func (q *ClusterAuditLogQuery) GetStatus() *AuditLogQueryStatus { return &q.Status }

// GetConditions returns the status conditions.
func (q *ClusterAuditLogQuery) GetConditions() []metav1.Condition { return q.Status.Conditions }

// SetConditions replaces the status conditions.
func (q *ClusterAuditLogQuery) SetConditions(c []metav1.Condition) { q.Status.Conditions = c }

// ClusterAuditLogQueryList is a list of ClusterAuditLogQueries.
// +kubebuilder:object:root=true
type ClusterAuditLogQueryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterAuditLogQuery `json:"items"`
}
