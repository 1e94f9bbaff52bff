package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/collector"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/credentials"
	"github.com/porter-dev/audit-operator/internal/redact"
)

// RegisterSources has the collector know every AuditSource of the API server.
// Before it, deliveries of known sources would be refused. A source whose
// credentials can't be read is left to its follower; the error says which.
func RegisterSources(ctx context.Context, api client.Reader, issuer *credentials.Issuer, registry *webhook.Registry) error {
	var list v1alpha1.AuditSourceList
	if err := api.List(ctx, &list); err != nil {
		return fmt.Errorf("list the AuditSources: %w", err)
	}
	var errs []error
	for i := range list.Items {
		errs = append(errs, register(ctx, &list.Items[i], issuer, registry))
	}
	return errors.Join(errs...)
}

// register has the collector accept what the source's Secret proves it with,
// and nothing else.
func register(ctx context.Context, s *v1alpha1.AuditSource, issuer *credentials.Issuer, registry *webhook.Registry) error {
	issued, err := issuer.Issued(ctx, s)
	if err != nil && !errors.Is(err, credentials.ErrNotIssued) && !errors.Is(err, credentials.ErrConflict) {
		return fmt.Errorf("register the AuditSource %s: %w", s.Name, err)
	}
	registry.Set(accepted(s, issued))
	return nil
}

// accepted is what the collector takes from a source.
func accepted(s *v1alpha1.AuditSource, issued credentials.Source) webhook.Source {
	out := webhook.Source{
		Source:      collector.Source{Name: s.Name, Cluster: s.Spec.Cluster, APIGroups: slices.Clone(s.Spec.APIGroups)},
		TokenSHA256: issued.TokenSHA256, ClientCommonName: issued.ClientCommonName,
	}
	if limits := s.Spec.Limits; limits != nil && limits.MaxEventBytes != nil {
		out.MaxEventBytes = *limits.MaxEventBytes
	}
	if redaction := s.Spec.Redaction; redaction != nil {
		out.Redaction = redact.Policy{
			KeepConfigMapValues: redaction.ConfigMapValues == v1alpha1.KeepValues,
			DropExecArguments:   redaction.ExecArguments == v1alpha1.DropValues,
		}
	}
	return out
}

// sourceFollower has the collector know the sources as they are now.
type sourceFollower struct {
	client   client.Client
	issuer   *credentials.Issuer
	registry *webhook.Registry
	traces   trace.TracerProvider
}

func (f *sourceFollower) setup(mgr ctrl.Manager) error {
	return forSources(mgr).Named("auditsource-follower").Complete(traced(f.traces, "follow AuditSource", f))
}

// forSources begins a controller of sources and their Secrets.
func forSources(mgr ctrl.Manager) *builder.Builder {
	ofSource := func(_ context.Context, o client.Object) []reconcile.Request {
		name, ok := strings.CutPrefix(o.GetName(), credentials.SourceSecretPrefix)
		if !ok {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: name}}}
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AuditSource{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(ofSource))
}

// Reconcile writes nothing: that is the leader's.
func (f *sourceFollower) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s := &v1alpha1.AuditSource{}
	err := f.client.Get(ctx, req.NamespacedName, s)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, err
	}
	if err != nil || !s.DeletionTimestamp.IsZero() { // another's finalizer may keep it
		f.registry.Delete(req.Name)
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, register(ctx, s, f.issuer, f.registry)
}

// typeFollower has the collector classify by the types as they are now.
type typeFollower struct {
	client client.Client
	types  *ResourceTypes
	traces trace.TracerProvider
}

func (f *typeFollower) setup(mgr ctrl.Manager) error {
	return forTypes(mgr).Named("auditresourcetype-follower").Complete(traced(f.traces, "follow AuditResourceType", f))
}

func forTypes(mgr ctrl.Manager) *builder.Builder {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.AuditResourceType{}, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
}

// Reconcile loads every type: which rule is asked first depends on all of them.
func (f *typeFollower) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	return ctrl.Result{}, f.types.Load(ctx, f.client)
}
