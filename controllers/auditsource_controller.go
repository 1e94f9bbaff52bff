package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/store"
)

// +kubebuilder:rbac:groups=audit.porter.run,resources=auditsources,verbs=list;watch
// +kubebuilder:rbac:groups=audit.porter.run,resources=auditsources/status,verbs=patch
// +kubebuilder:rbac:groups="",namespace=audit-system,resources=secrets,verbs=get;list;watch;create;update

const issueCredentials = "IssueCredentials"

const (
	// countEvery is how often the counters in a status are brought up to date,
	// and awaitEvery how often someone who connects a source sees whether it works.
	countEvery = 30 * time.Second
	awaitEvery = 2 * time.Second
	// silentAfter is how long a source may send nothing before it counts as
	// stopped. An API server on its own renews its lease every ten seconds.
	silentAfter = 10 * time.Minute
)

// sourceReconciler gives sources their credentials and tells what they sent.
type sourceReconciler struct {
	client   client.Client
	events   events.EventRecorder
	issuer   *credentials.Issuer
	registry *webhook.Registry
	store    store.Reader
	now      func() time.Time
	traces   trace.TracerProvider

	mu sync.Mutex
	// reported holds how many items of others than the operator a status speaks
	// of. What the operator writes makes events: to report them would make more.
	reported map[types.UID]int64
	// useful holds the totals of a source when something of it was stored last.
	useful map[types.UID]store.SourceStats
}

func (r *sourceReconciler) setup(mgr ctrl.Manager) error {
	return forSources(mgr).Complete(traced(r.traces, "reconcile AuditSource", r))
}

// Reconcile issues what the source needs, then brings its counters up to date.
func (r *sourceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s := &v1alpha1.AuditSource{}
	if err := r.client.Get(ctx, req.NamespacedName, s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !s.DeletionTimestamp.IsZero() { // another's finalizer keeps it
		return ctrl.Result{}, nil
	}
	status := newStatusWriter(r.client, s)
	s.Status.ObservedGeneration = s.Generation
	failure := r.issue(ctx, s)
	if errors.Is(failure, errFollows) {
		return ctrl.Result{RequeueAfter: awaitFollower}, nil
	}
	foreign := r.count(ctx, s)
	if err := status.write(ctx, s); err != nil {
		return ctrl.Result{}, errors.Join(failure, client.IgnoreNotFound(err))
	}
	r.mu.Lock()
	r.reported[s.UID] = foreign
	r.mu.Unlock()
	if failure != nil {
		return ctrl.Result{}, failure
	}
	if meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ReceivingCondition) {
		return ctrl.Result{RequeueAfter: countEvery}, nil
	}
	return ctrl.Result{RequeueAfter: awaitEvery}, nil
}

// errFollows means that this replica's collector will accept, in a moment, what
// was issued. Nobody is to be told before.
var errFollows = errors.New("the collector does not know of it yet")

func (r *sourceReconciler) issue(ctx context.Context, s *v1alpha1.AuditSource) error {
	if s.Name == audit.OwnSource { // made before the API server refused the name
		markStalled(s, v1alpha1.ReasonNameReserved, "The name is that of the operator's own records, for which nobody else may deliver. Make the source anew under another name.")
		return nil
	}
	issued, err := r.issuer.Source(ctx, s)
	switch {
	case errors.Is(err, credentials.ErrConflict):
		message := fmt.Sprintf("The Secret %s/%s%s exists and was not made by the operator; rename or delete it.",
			r.issuer.Namespace(), credentials.SourceSecretPrefix, s.Name)
		markStalled(s, v1alpha1.ReasonSecretConflict, message)
		r.events.Eventf(s, nil, corev1.EventTypeWarning, v1alpha1.ReasonSecretConflict, issueCredentials, "%s", message)
		return nil
	case err != nil:
		message := "The Secret with the credentials can't be read or written now; the operator's log says why, and it tries again."
		markFailed(s, v1alpha1.ReasonCredentialsFailed, message)
		r.events.Eventf(s, nil, corev1.EventTypeWarning, v1alpha1.ReasonCredentialsFailed, issueCredentials, "%s", message)
		return err
	case !r.registry.Has(accepted(s, issued)):
		return errFollows
	}
	secret := v1alpha1.SecretReference{Namespace: r.issuer.Namespace(), Name: issued.SecretName}
	s.Status.Endpoint, s.Status.SecretRef = issued.Endpoint, &secret
	s.Status.Usage = usage(secret)
	markReady(s, v1alpha1.ReasonCredentialsIssued, issuedMessage(secret, issued.CopyBefore))
	return nil
}

// issuedMessage says by when files are to be copied anew, if they are.
func issuedMessage(secret v1alpha1.SecretReference, copyBefore time.Time) string {
	message := fmt.Sprintf("The Secret %s/%s holds what the source needs to send.", secret.Namespace, secret.Name)
	if copyBefore.IsZero() {
		return message
	}
	return message + fmt.Sprintf(" The operator's authority is being renewed: write its files to the node anew, and restart the API server, before %s, unless that was done since the Secret changed.",
		copyBefore.Format(time.DateOnly))
}

// usage is what an administrator does with a source's Secret.
func usage(secret v1alpha1.SecretReference) string {
	return fmt.Sprintf(`Write each key of the Secret %s/%s as a file into one folder on the API server's node, such as /etc/kubernetes/audit, readable by the API server alone. Then start kube-apiserver with
--audit-webhook-config-file=/etc/kubernetes/audit/kubeconfig
--audit-policy-file=/etc/kubernetes/audit/policy.yaml
--audit-webhook-mode=batch
--audit-webhook-batch-max-wait=1s
It does not start without these files. It reads kubeconfig once, and the credentials beside it anew when they change.
`, secret.Namespace, secret.Name)
}

// count writes what came from the source into its status, unless all that is
// new was caused by the operator. It returns how much was caused by others.
func (r *sourceReconciler) count(ctx context.Context, s *v1alpha1.AuditSource) (foreign int64) {
	r.mu.Lock()
	reported, once := r.reported[s.UID]
	r.mu.Unlock()
	stats, err := r.stats(ctx, s.Name)
	putOff := r.registry.PutsOff(s.Name, putOffFor)
	if err != nil {
		if putOff {
			setPutOff(s)
			return reported
		}
		setCondition(s, v1alpha1.ReceivingCondition, metav1.ConditionUnknown, v1alpha1.ReasonUnknown,
			"The store of events does not say now what it took.")
		return reported
	}
	s.Status.RequestsRefused = r.registry.Refused(s.Name)
	if putOff {
		setPutOff(s)
	} else {
		setReceiving(s, stats, r.useless(s.UID, stats), r.now())
	}
	r.tellSkew(ctx, s)
	foreign = stats.Received - stats.Own
	if once && foreign == reported {
		return foreign
	}
	s.Status.EventsReceived, s.Status.EventsStored = stats.Received, stats.Stored
	s.Status.EventsDuplicate, s.Status.EventsQuarantined = stats.Duplicate, stats.Quarantined
	if !stats.LastEventAt.IsZero() {
		last := metav1.NewMicroTime(stats.LastEventAt)
		s.Status.LastEventTime = &last
	}
	return foreign
}

func (r *sourceReconciler) stats(ctx context.Context, source string) (store.SourceStats, error) {
	if source == audit.OwnSource { // what is counted there did not come from this one
		return store.SourceStats{Source: source}, nil
	}
	all, err := r.store.Sources(ctx)
	for _, stats := range all {
		if stats.Source == source {
			return stats, nil
		}
	}
	return store.SourceStats{Source: source}, err
}
