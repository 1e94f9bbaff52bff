package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditSourceType says how events come in.
// +kubebuilder:validation:Enum=Webhook
type AuditSourceType string

// The types of a source.
const (
	// WebhookSource posts batches of events to the operator.
	WebhookSource AuditSourceType = "Webhook"
)

// AuditSourceAuth says how a source proves who it is.
// +kubebuilder:validation:Enum=Token;ClientCertificate
type AuditSourceAuth string

// The ways in which a source proves who it is.
const (
	TokenAuth             AuditSourceAuth = "Token"
	ClientCertificateAuth AuditSourceAuth = "ClientCertificate"
)

// AuditSourceSpec describes one API server process that sends events.
type AuditSourceSpec struct {
	// cluster is the name of the cluster that the source belongs to. A
	// namespaced query sees only sources of the operator's own cluster, which
	// its flag --cluster-name names.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="cluster: write lower-case letters, digits, - and ., beginning and ending with a letter or digit, like prod-eu"
	Cluster string `json:"cluster"`

	// type says how events come in.
	// +optional
	// +kubebuilder:default=Webhook
	Type AuditSourceType `json:"type,omitempty"`

	// auth says how the source proves who it is.
	// +optional
	// +kubebuilder:default=Token
	Auth AuditSourceAuth `json:"auth,omitempty"`

	// apiGroups are the API groups that an aggregated API server serves; leave
	// them out for a kube-apiserver, which speaks for all. What a source reports
	// of resources of other groups is stored, marked as foreign, and in no
	// namespace's scope: who has the server's credentials can't write that
	// somebody deleted a secret. Its requests never count as the operator's own.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="apiGroups: write an API group as it stands in apiVersion, like metrics.k8s.io"
	APIGroups []string `json:"apiGroups,omitempty"`

	// limits bound what is kept of the source's events.
	// +optional
	Limits *AuditSourceLimits `json:"limits,omitempty"`

	// redaction says what is taken out of the source's events besides what
	// always is.
	// +optional
	Redaction *AuditSourceRedaction `json:"redaction,omitempty"`
}

// RedactionChoice says whether something is kept or taken out.
// +kubebuilder:validation:Enum=Keep;Drop
type RedactionChoice string

// The choices of redaction.
const (
	// KeepValues keeps it, as far as no other rule takes it out.
	KeepValues RedactionChoice = "Keep"
	// DropValues takes it out.
	DropValues RedactionChoice = "Drop"
)

// AuditSourceRedaction says what is taken out of a source's events. Absent means
// that values of ConfigMaps go and arguments stay.
type AuditSourceRedaction struct {
	// configMapValues says what becomes of the values of ConfigMaps in bodies:
	// Drop, as if absent, takes them out; Keep keeps them, but for what looks
	// like a credential. Names of keys stay in any case.
	// +optional
	ConfigMapValues RedactionChoice `json:"configMapValues,omitempty"`

	// execArguments says what becomes of the arguments of exec and attach: Keep,
	// as if absent, keeps them, but for what looks like a credential; Drop takes
	// out all but the program.
	// +optional
	ExecArguments RedactionChoice `json:"execArguments,omitempty"`
}

// AuditSourceLimits bound what is kept of a source's events. Absent means the operator's
// default.
type AuditSourceLimits struct {
	// maxEventBytes is how much of one event is kept as it came. Of a larger
	// one bodies are left out first, and then texts are cut.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=16777216
	MaxEventBytes *int64 `json:"maxEventBytes,omitempty"`
}

// AuditSourceStatus says how to send, and what came.
type AuditSourceStatus struct {
	// observedGeneration is the generation of the spec that the status speaks
	// of; -1 until the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Receiving, ClocksAgree, Reconciling and Stalled.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// endpoint is the address that the source sends to.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Endpoint string `json:"endpoint,omitempty"`

	// secretRef names the Secret with the source's files: kubeconfig,
	// policy.yaml, ca.crt, and token or tls.crt and tls.key.
	// +optional
	SecretRef *SecretReference `json:"secretRef,omitempty"`

	// usage says how to give the Secret's files to the API server.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Usage string `json:"usage,omitempty"`

	// lastEventTime is when the newest event happened.
	// +optional
	LastEventTime *metav1.MicroTime `json:"lastEventTime,omitempty"`

	// clockSkew is how far the source's clock is ahead of the operator's, in
	// steps of ten seconds, like 1m30s; with a minus sign it is behind, or its
	// events come late. Absent while the clocks agree, or nothing comes.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ClockSkew string `json:"clockSkew,omitempty"`

	// eventsReceived is how many items came in, whatever became of them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EventsReceived int64 `json:"eventsReceived"`

	// eventsStored is how many events were stored.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EventsStored int64 `json:"eventsStored"`

	// eventsDuplicate is how many events were stored already.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EventsDuplicate int64 `json:"eventsDuplicate"`

	// eventsQuarantined is how many items could not become an event.
	// +optional
	// +kubebuilder:validation:Minimum=0
	EventsQuarantined int64 `json:"eventsQuarantined"`

	// requestsRefused is how many requests were answered with an error since the
	// operator started, so that the source had to send them again. Of several
	// replicas it counts those of the one that leads.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RequestsRefused int64 `json:"requestsRefused"`
}

// SecretReference names a Secret.
type SecretReference struct {
	// namespace of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// AuditSource is one API server process that sends its audit events. Events
// carry no other identity, so each process needs a source of its own.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=asrc,categories=audit
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="metadata.name: write at most 63 characters and no dots, like prod-eu-1"
// +kubebuilder:validation:XValidation:rule="self.metadata.name != 'audit-operator'",message="metadata.name: audit-operator is the source of the operator's own records; choose another name, like prod-eu-1"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Receiving",type=string,JSONPath=`.status.conditions[?(@.type=="Receiving")].status`
// +kubebuilder:printcolumn:name="Stored",type=integer,JSONPath=`.status.eventsStored`
// +kubebuilder:printcolumn:name="Quarantined",type=integer,JSONPath=`.status.eventsQuarantined`
// +kubebuilder:printcolumn:name="Last Event",type=date,JSONPath=`.status.lastEventTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Endpoint",type=string,priority=1,JSONPath=`.status.endpoint`
type AuditSource struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the source.
	// +required
	Spec AuditSourceSpec `json:"spec"`

	// status says how to send, and what came.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status AuditSourceStatus `json:"status,omitempty"`
}

// GetConditions returns the status conditions.
func (s *AuditSource) GetConditions() []metav1.Condition { return s.Status.Conditions }

// SetConditions replaces the status conditions.
func (s *AuditSource) SetConditions(c []metav1.Condition) { s.Status.Conditions = c }

// AuditSourceList is a list of AuditSources.
// +kubebuilder:object:root=true
type AuditSourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuditSource `json:"items"`
}
