// Package controllers reconciles the operator's resources: queries into
// snapshots, sources into credentials, resource types into the rules that
// events are classified by.
//
// Every replica follows: it has its collector know the sources and types. One
// leads: it writes statuses, credentials and snapshots.
package controllers

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/store"
)

// What internal/auth asks for callers.
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// FieldOwner is the operator's name in managed fields and events.
const FieldOwner = "audit-operator"

// Options of Follow and Lead. Retention, DashboardURL and Now are optional.
type Options struct {
	Store    store.Store
	Issuer   *credentials.Issuer
	Registry *webhook.Registry
	Types    *ResourceTypes
	// ClusterName is the cluster whose sources a namespaced query sees.
	ClusterName string
	// DashboardURL is the base of share URLs; empty for none.
	DashboardURL string
	// Retention is how long the store keeps events.
	Retention time.Duration
	// Doors and Metrics watch the queries and their snapshots; nil watches nothing.
	Doors   *door.Watch
	Metrics *Metrics
	// Traces get a span for each reconciliation; nil traces nothing.
	Traces trace.TracerProvider
	// RunEvery is how often one query may run (default 10s).
	RunEvery time.Duration
	// OrphansAfter is how long the snapshots of a query whose deletion was not
	// observed are kept (default 720h).
	OrphansAfter time.Duration
	// Nudger has queries looked at whose snapshots were deleted; may be nil.
	Nudger *Nudger
	Now    func() time.Time
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RunEvery == 0 {
		o.RunEvery = runEvery
	}
	if o.OrphansAfter == 0 {
		o.OrphansAfter = orphansAfter
	}
	if o.Traces == nil {
		o.Traces = noop.NewTracerProvider()
	}
}

// Follow adds to the manager what every replica does. It writes nothing.
func Follow(mgr ctrl.Manager, o Options) error {
	o.setDefaults()
	api := mgr.GetClient()
	return errors.Join(
		(&sourceFollower{client: api, issuer: o.Issuer.With(api), registry: o.Registry, traces: o.Traces}).setup(mgr),
		(&typeFollower{client: api, types: o.Types, traces: o.Traces}).setup(mgr),
	)
}

// Lead adds to the manager what one replica does for all.
func Lead(mgr ctrl.Manager, o Options) error {
	o.setDefaults()
	api := client.WithFieldOwner(mgr.GetClient(), FieldOwner)
	recorder := mgr.GetEventRecorder(FieldOwner)
	look := map[string]func(reconcile.Request){}
	query := func(newQuery func() v1alpha1.Query) error {
		r := queryReconciler{
			Options: o, client: api, namespaces: mgr.GetAPIReader(), events: recorder, newQuery: newQuery, turns: newTurns(o.RunEvery, runsOfNamespace),
		}
		look[kindOf(newQuery())] = r.turns.enqueue
		return r.setup(mgr)
	}
	sources := sourceReconciler{
		client: api, events: recorder, issuer: o.Issuer.With(api), registry: o.Registry,
		store: o.Store, now: o.Now, reported: map[types.UID]int64{}, traces: o.Traces,
	}
	queries := errors.Join(
		query(func() v1alpha1.Query { return &v1alpha1.AuditLogQuery{} }),
		query(func() v1alpha1.Query { return &v1alpha1.ClusterAuditLogQuery{} }),
	)
	o.Nudger.use(look)
	return errors.Join(
		queries,
		mgr.Add(&orphans{Options: o, live: mgr.GetAPIReader(), cached: mgr.GetClient(), look: look}),
		sources.setup(mgr),
		(&typeReconciler{client: api, types: o.Types, traces: o.Traces}).setup(mgr),
	)
}
