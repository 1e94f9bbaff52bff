package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditLogQueryStatus is what both kinds of query report.
type AuditLogQueryStatus struct {
	// observedGeneration is the generation of the spec that the status speaks
	// of; -1 until the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Reconciling, Stalled and Complete.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// types says in a few words which resource types the query selects.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Types string `json:"types,omitempty"`

	// window says in a few words which time range the query selects.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Window string `json:"window,omitempty"`

	// shareURL opens the dashboard with the same filter and live events. Who
	// follows it needs the right to read them.
	// +optional
	// +kubebuilder:validation:MaxLength=8000
	ShareURL string `json:"shareURL,omitempty"`

	// snapshot is the latest snapshot.
	// +optional
	Snapshot *Snapshot `json:"snapshot,omitempty"`

	// history holds the kept snapshots, the newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	History []SnapshotReference `json:"history,omitempty"`

	// lastHandledReconcileAt is the last value of the annotation
	// reconcile.audit.porter.run/requestedAt that was carried out.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
}

// SnapshotReference identifies a snapshot.
type SnapshotReference struct {
	// id names the snapshot.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id"`

	// takenAt is when the snapshot was taken.
	// +required
	TakenAt metav1.MicroTime `json:"takenAt"`

	// matched is how many events matched, exactly.
	// +required
	// +kubebuilder:validation:Minimum=0
	Matched int64 `json:"matched"`

	// digest is sha256: and the SHA-256 of the snapshot's download.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest"`

	// url is the snapshot's address on the dashboard: a browser gets a page, a
	// program the download. It needs the operator's --dashboard-url.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	URL string `json:"url,omitempty"`
}

// Snapshot is an answer that never changes.
type Snapshot struct {
	SnapshotReference `json:",inline"`

	// asOf is the moment up to which ingested events were visible.
	// +required
	AsOf metav1.MicroTime `json:"asOf"`

	// from is the first moment of the window.
	// +required
	From metav1.MicroTime `json:"from"`

	// to is the first moment after the window.
	// +required
	To metav1.MicroTime `json:"to"`

	// stored is how many events the snapshot keeps.
	// +required
	// +kubebuilder:validation:Minimum=0
	Stored int64 `json:"stored"`

	// truncated says that more events matched than the snapshot keeps.
	// +required
	Truncated bool `json:"truncated"`

	// manifestDigest is sha256: and the SHA-256 over window, filter, asOf,
	// counts, completeness and digest.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	ManifestDigest string `json:"manifestDigest"`

	// countsByResourceType counts the matched events of each resource type, at
	// most the 100 most frequent ones.
	// +optional
	// +kubebuilder:validation:MaxProperties=100
	CountsByResourceType map[string]int64 `json:"countsByResourceType,omitempty"`

	// countsByStatusClass counts the matched events of each class from 1xx to
	// 5xx, and of those without a code as none.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	CountsByStatusClass map[string]int64 `json:"countsByStatusClass,omitempty"`

	// preview holds the newest events.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Preview []EventPreview `json:"preview,omitempty"`
}

// MaxPreviewText is how many characters of a text the preview shows at most. A
// longer one is cut, so that the status stays small whatever clients send.
const MaxPreviewText = 128

// EventPreview is what the status shows of an event. Its texts come from
// clients and are never to be trusted as markup.
type EventPreview struct {
	// id is the event's id.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	ID string `json:"id"`

	// time is when the request was received.
	// +required
	Time metav1.MicroTime `json:"time"`

	// actor is the effective user.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Actor string `json:"actor,omitempty"`

	// method is the HTTP method.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Method string `json:"method,omitempty"`

	// statusCode is the code of the response; absent when there was none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	StatusCode int32 `json:"statusCode,omitempty"`

	// resourceType is the type that the request was classified as.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	ResourceType string `json:"resourceType,omitempty"`

	// action is what was done, like application.delete.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Action string `json:"action,omitempty"`

	// cluster is where it was done.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Cluster string `json:"cluster,omitempty"`

	// namespace is the request's namespace; absent when it had none.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// resourceName is the name of the object.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	ResourceName string `json:"resourceName,omitempty"`

	// ip is the last source address, the one that can't be forged.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	IP string `json:"ip,omitempty"`
}
