package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Terms are lists of alternatives, one list for each field of an event.
// Matching is exact and case-sensitive. A text that begins with = is literal
// after it, like =a* for the text a*. A field that an event lacks never matches.
type Terms struct {
	// resourceTypes are application, datastore, addon, environment_group,
	// cluster, project, or the value of an AuditResourceType (object my-type,
	// value my_type).
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z][a-z0-9_]*$')",message="resourceTypes: write lower-case letters, digits and _, like environment_group"
	ResourceTypes []string `json:"resourceTypes,omitempty"`

	// actors are user names, effective or authenticated, and credential ids.
	// One trailing * matches any rest, like system:serviceaccount:ci:*.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || !self.contains('*') || self.indexOf('*') == self.size() - 1",message="actors: * may only be the last character, like system:serviceaccount:ci:*; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 256",message="actors: write at most 256 characters, not counting the = before a literal value"
	Actors []string `json:"actors,omitempty"`

	// methods are HTTP methods. exec, attach and port-forward are always POST.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:Enum=GET;POST;PUT;PATCH;DELETE;HEAD;OPTIONS;OTHER
	Methods []string `json:"methods,omitempty"`

	// actions are resourceType.verb, or resourceType.subresource, like
	// application.delete. One trailing * matches any rest, like application.*,
	// and a leading *. any resource type, like *.exec.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || self.matches(r'^([*][.])?[^*]*[*]?$') && self != '*.'",message="actions: * may only be the last character, like application.*, or a leading *., like *.exec; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 256",message="actions: write at most 256 characters, not counting the = before a literal value"
	Actions []string `json:"actions,omitempty"`

	// ipAddresses are addresses or CIDR ranges. Included, they match any of an
	// event's addresses; excluded, only the last one, which can't be forged.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('%')",message="ipAddresses: leave the zone out, %eth0 and the like mean nothing on another machine"
	// +kubebuilder:validation:items:XValidation:rule="self.contains('%') || isIP(self) || isCIDR(self)",message="ipAddresses: write an address like 192.0.2.7 or 2001:db8::1, or a CIDR range like 10.0.0.0/8"
	IPAddresses []string `json:"ipAddresses,omitempty"`

	// statusCodes are codes like "403" or classes like 5xx.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=16
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([1-5][0-9]{2}|[1-5]xx)$')",message="statusCodes: write a code from 100 to 599, like \"403\", or a class from 1xx to 5xx"
	StatusCodes []string `json:"statusCodes,omitempty"`

	// resourceNames are names of objects. One trailing * matches any rest, like
	// checkout-*.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || !self.contains('*') || self.indexOf('*') == self.size() - 1",message="resourceNames: * may only be the last character, like checkout-*; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 256",message="resourceNames: write at most 256 characters, not counting the = before a literal value"
	ResourceNames []string `json:"resourceNames,omitempty"`

	// clients are kinds of programs: cli (kubectl, helm and the like),
	// controller, node, operator, other.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:Enum=cli;controller;node;operator;other
	Clients []string `json:"clients,omitempty"`

	// stages are stages of a request. Without any included, all but
	// RequestReceived are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:Enum=RequestReceived;ResponseStarted;ResponseComplete;Panic
	Stages []string `json:"stages,omitempty"`

	// resources are resources as kubectl api-resources -o name prints them, with a
	// subresource after a slash, like pods/exec or deployments.apps/scale. A
	// leading */ matches any resource, like */exec.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=771
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || self.matches(r'^([*]/)?[^*]+$')",message="resources: * may only be a leading */, like */exec; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 770",message="resources: write at most 770 characters, not counting the = before a literal value"
	Resources []string `json:"resources,omitempty"`

	// groups are names of groups, of the effective or the authenticated user.
	// Under exclude they take out what every identity of the request has one of.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || !self.contains('*')",message="groups: write the whole name; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 256",message="groups: write at most 256 characters, not counting the = before a literal value"
	Groups []string `json:"groups,omitempty"`

	// auditIDs are the IDs of requests. Clients choose them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || !self.contains('*')",message="auditIDs: write the whole ID; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 256",message="auditIDs: write at most 256 characters, not counting the = before a literal value"
	AuditIDs []string `json:"auditIDs,omitempty"`

	// userAgents are beginnings of user agents, like kubectl/, with or without one
	// trailing *. After = it is the whole one.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1025
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') || !self.contains('*') || self.indexOf('*') == self.size() - 1",message="userAgents: * may only be the last character, like kubectl/*; after = a value is literal"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 1024",message="userAgents: write at most 1024 characters, not counting the = before a literal value"
	UserAgents []string `json:"userAgents,omitempty"`
}

// PlaceTerms are the terms that only a cluster-wide query may use.
type PlaceTerms struct {
	// clusters are the clusters that AuditSources name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 63 && (self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'))",message="clusters: write the cluster of an AuditSource, like prod-eu"
	Clusters []string `json:"clusters,omitempty"`

	// namespaces are names of namespaces; - selects requests to none, =- those to
	// one that is named -.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 63 && (self == '-' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",message="namespaces: write a namespace's name, or - for requests to none"
	Namespaces []string `json:"namespaces,omitempty"`

	// sources are names of AuditSources; audit-operator is that of the
	// operator's own records.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=257
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('=') ? self.size() > 1 : self.size() <= 63 && (self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'))",message="sources: write the name of an AuditSource, like prod-eu-1"
	Sources []string `json:"sources,omitempty"`
}

// ClusterTerms are the terms of a cluster-wide query.
type ClusterTerms struct {
	Terms      `json:",inline"`
	PlaceTerms `json:",inline"`
}

// TimeRangePreset names a time range that ends at the time of the run.
// +kubebuilder:validation:Enum=LastHour;Last24Hours;Last7Days;Last30Days
type TimeRangePreset string

// The presets of a time range.
const (
	LastHour    TimeRangePreset = "LastHour"
	Last24Hours TimeRangePreset = "Last24Hours"
	Last7Days   TimeRangePreset = "Last7Days"
	Last30Days  TimeRangePreset = "Last30Days"
)

// TimeRange is exactly one of a preset, a duration, and absolute times. It
// includes its beginning and excludes its end.
// +kubebuilder:validation:XValidation:rule="(has(self.preset) ? 1 : 0) + (has(self.duration) ? 1 : 0) + (has(self.from) || has(self.to) ? 1 : 0) == 1",message="timeRange: give exactly one of preset, duration, or from (with or without to)"
// +kubebuilder:validation:XValidation:rule="!has(self.to) || has(self.from)",message="timeRange: to needs from; add from, or use duration for a range that ends now"
// +kubebuilder:validation:XValidation:rule="!has(self.from) || !has(self.to) || self.from < self.to",message="timeRange: from must be before to; swap or correct them"
// +kubebuilder:validation:XValidation:rule="!has(self.from) || self.from >= timestamp('1970-01-01T00:00:00Z')",message="timeRange: from must be 1970-01-01T00:00:00Z or later"
type TimeRange struct {
	// preset ends at the time of the run.
	// +optional
	Preset TimeRangePreset `json:"preset,omitempty"`

	// duration before the time of the run: one number and one of m, h, d, w,
	// like 90d.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[1-9][0-9]{0,4}[mhdw]$')",message="duration: write a number from 1 to 99999 and one of m, h, d, w, like 90d"
	Duration string `json:"duration,omitempty"`

	// from is the first moment of an absolute range, in RFC 3339.
	// +optional
	From *metav1.Time `json:"from,omitempty"`

	// to is the first moment after an absolute range, in RFC 3339. Absent means
	// the time of the run.
	// +optional
	To *metav1.Time `json:"to,omitempty"`
}

// QuerySpec is what the specs of both kinds of query share.
type QuerySpec struct {
	Terms `json:",inline"`

	// timeRange is the range of times to answer for. Absent means Last7Days.
	// +optional
	TimeRange *TimeRange `json:"timeRange,omitempty"`

	// search is a part of a path, an actor or a resource name, in upper or lower
	// case. Blank means none.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Search string `json:"search,omitempty"`

	// dryRun, when set, selects only what is known to be a dry run (true) or only
	// everything else (false): real requests, and those of which nobody can say.
	// +optional
	DryRun *bool `json:"dryRun,omitempty"`

	// truncated, when set, selects only events of which a text or a body was cut
	// because of its size (true) or only whole ones (false).
	// +optional
	Truncated *bool `json:"truncated,omitempty"`

	// limit is how many rows a snapshot keeps, the newest first. The count is
	// always exact.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50000
	Limit *int32 `json:"limit,omitempty"`

	// preview is how many of the newest events the status shows. 0 shows none.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=50
	Preview *int32 `json:"preview,omitempty"`

	// snapshotHistoryLimit is how many snapshots are kept, the latest included.
	// Older ones are removed for good.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SnapshotHistoryLimit *int32 `json:"snapshotHistoryLimit,omitempty"`
}

// Defaults of QuerySpec, the same as the schema's.
const (
	DefaultLimit                = 10000
	DefaultPreview              = 10
	DefaultSnapshotHistoryLimit = 10
)

// GetLimit returns limit or its default.
func (s *QuerySpec) GetLimit() int { return orDefault(s.Limit, DefaultLimit) }

// GetPreview returns preview or its default.
func (s *QuerySpec) GetPreview() int { return orDefault(s.Preview, DefaultPreview) }

// GetSnapshotHistoryLimit returns snapshotHistoryLimit or its default.
func (s *QuerySpec) GetSnapshotHistoryLimit() int {
	return orDefault(s.SnapshotHistoryLimit, DefaultSnapshotHistoryLimit)
}

func orDefault(value *int32, otherwise int) int {
	if value == nil {
		return otherwise
	}
	return int(*value)
}
