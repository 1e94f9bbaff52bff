package v1alpha1

// Condition types. Ready, Reconciling and Stalled follow the rules of kstatus,
// so that kubectl wait, Argo CD and Flux understand them.
const (
	// ReadyCondition is True when the object does its job as its spec now asks.
	// Positive polarity; present on every kind.
	ReadyCondition = "Ready"

	// ReconcilingCondition is True while the operator still works towards the
	// spec, and absent otherwise. Negative polarity.
	ReconcilingCondition = "Reconciling"

	// StalledCondition is True when only a change by a person can help, and
	// absent otherwise. Negative polarity.
	StalledCondition = "Stalled"

	// CompleteCondition of a query is True when its latest snapshot covers
	// everything that happened in its window, False when something is known to
	// be missing, and Unknown when nobody measured it. Positive polarity.
	CompleteCondition = "Complete"

	// ReceivingCondition of an AuditSource is True while events arrive, False
	// when they stopped, Unknown before the first or when that could not be read.
	// Positive polarity.
	ReceivingCondition = "Receiving"

	// ClocksAgreeCondition of an AuditSource is False while the source's clock is
	// out of step with the operator's, so that relative time ranges miss its
	// newest events; absent while nothing comes. Positive polarity.
	ClocksAgreeCondition = "ClocksAgree"
)

// Reasons that several kinds share.
const (
	// ReasonProgressing: work on the current generation goes on. Reconciling is
	// True and Ready Unknown.
	ReasonProgressing = "Progressing"

	// ReasonProgressingWithRetry: the last attempt failed and another follows.
	// Reconciling is True and Ready False.
	ReasonProgressingWithRetry = "ProgressingWithRetry"

	// ReasonInvalidSpec: the spec passed admission but can't be carried out; the
	// message says what to change. Stalled is True and Ready False.
	ReasonInvalidSpec = "InvalidSpec"

	// ReasonUnknown: what the condition is about could not be read. The
	// condition is Unknown.
	ReasonUnknown = "Unknown"
)

// Reasons of AuditLogQuery and ClusterAuditLogQuery.
const (
	// ReasonSnapshotTaken: the latest snapshot answers the spec. Ready is True.
	ReasonSnapshotTaken = "SnapshotTaken"

	// ReasonStoreUnavailable: the store of events does not answer. Ready is
	// False, and the operator tries again.
	ReasonStoreUnavailable = "StoreUnavailable"

	// ReasonSnapshotFailed: the snapshot could not be taken or kept. Ready is
	// False, and the operator tries again.
	ReasonSnapshotFailed = "SnapshotFailed"

	// ReasonQueryTimeout: the store gave the query up after its time limit.
	// Ready is False, and the operator tries again.
	ReasonQueryTimeout = "QueryTimeout"

	// ReasonShareURLTooLong: the filter makes a share URL of more than 8,000
	// bytes, which browsers and proxies refuse. Stalled is True.
	ReasonShareURLTooLong = "ShareURLTooLong"

	// ReasonSnapshotLost: the store no longer holds the snapshot that answered
	// the spec. Another would be another answer, so it is taken only when a person
	// asks for it. Stalled is True.
	ReasonSnapshotLost = "SnapshotLost"

	// ReasonQuarantined: about the time of the window items arrived that could not
	// become events, and may be events that are missing. Complete is False.
	ReasonQuarantined = "Quarantined"

	// ReasonSnapshotDeleted: somebody deleted the snapshot that answered the spec.
	// Another is taken when a person asks for it. Ready is True, Complete Unknown.
	ReasonSnapshotDeleted = "SnapshotDeleted"

	// ReasonQuotaExceeded: there is no room for another snapshot in the quota of
	// the namespace, or of all. Stalled is True; the operator also tries again now
	// and then.
	ReasonQuotaExceeded = "QuotaExceeded"

	// ReasonSpaceReserved: what is left of the store's volume is for events alone.
	// Stalled is True; the operator also tries again now and then.
	ReasonSpaceReserved = "SpaceReserved"

	// ReasonWindowNotBegun: the time range begins in the future. Reconciling is
	// True and Ready False until then.
	ReasonWindowNotBegun = "WindowNotBegun"

	// ReasonWindowNotOver: the snapshot was taken before the end of its window.
	// Complete is False; the final snapshot is taken when the window is over.
	ReasonWindowNotOver = "WindowNotOver"

	// ReasonNotMeasured: nobody measured whether events are missing. Complete is
	// Unknown.
	ReasonNotMeasured = "NotMeasured"

	// ReasonWindowCovered: every source reported throughout the window. Complete
	// is True.
	ReasonWindowCovered = "WindowCovered"

	// ReasonBeyondRetention: the window begins before the oldest event that the
	// operator keeps. Complete is False.
	ReasonBeyondRetention = "BeyondRetention"
)

// Reasons of AuditSource.
const (
	// ReasonCredentialsIssued: the Secret holds what the source needs to send.
	// Ready is True.
	ReasonCredentialsIssued = "CredentialsIssued"

	// ReasonCredentialsFailed: the Secret could not be written. Ready is False,
	// and the operator tries again.
	ReasonCredentialsFailed = "CredentialsFailed"

	// ReasonSecretConflict: a Secret of that name exists and is not this
	// source's. Stalled is True.
	ReasonSecretConflict = "SecretConflict"

	// ReasonNameReserved: the name is that of the operator's own records, for
	// which nobody else may deliver. Stalled is True.
	ReasonNameReserved = "NameReserved"

	// ReasonEventsArriving: events came lately. Receiving is True.
	ReasonEventsArriving = "EventsArriving"

	// ReasonNoEventsYet: no event came yet. Receiving is Unknown.
	ReasonNoEventsYet = "NoEventsYet"

	// ReasonDeliveriesPutOff: what the source delivers is answered 503, so that
	// it must come again. Receiving is False.
	ReasonDeliveriesPutOff = "DeliveriesPutOff"

	// ReasonEverythingQuarantined: something comes, and nothing of it becomes an
	// event. Receiving is False.
	ReasonEverythingQuarantined = "EverythingQuarantined"

	// ReasonClocksAgree: the newest events bear the operator's time, give or take
	// some seconds. ClocksAgree is True.
	ReasonClocksAgree = "ClocksAgree"

	// ReasonClockSkewed: the source's clock is ahead, or behind. ClocksAgree is
	// False.
	ReasonClockSkewed = "ClockSkewed"

	// ReasonEventsStopped: events came once, but not lately. Receiving is False.
	ReasonEventsStopped = "EventsStopped"
)

// Reasons of AuditResourceType.
const (
	// ReasonRulesActive: new events are classified by the rules. Ready is True.
	ReasonRulesActive = "RulesActive"
)

const (
	// ReconcileRequestAnnotation asks for a run now. Any new value counts; the
	// last one that was carried out stands in status.lastHandledReconcileAt.
	ReconcileRequestAnnotation = "reconcile.audit.porter.run/requestedAt"

	// Finalizer keeps an object until the operator has removed what belongs to
	// it outside the API server, like a query's snapshots.
	Finalizer = "audit.porter.run/finalizer"
)
