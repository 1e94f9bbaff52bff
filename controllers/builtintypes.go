package controllers

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// +kubebuilder:rbac:groups=audit.porter.run,resources=auditresourcetypes,verbs=create

// CreateBuiltInTypes makes the built-in types that the API server has no
// object of, so that they can be seen and changed. One that exists is left as
// it is: it is its owner's by now. docs/adr/0004 says why the operator does it.
func CreateBuiltInTypes(ctx context.Context, api client.Client) error {
	var list v1alpha1.AuditResourceTypeList
	if err := api.List(ctx, &list); err != nil {
		return fmt.Errorf("list the AuditResourceTypes: %w", err)
	}
	exists := map[string]bool{}
	for _, t := range list.Items {
		exists[t.Name] = true
	}
	var errs []error
	for _, t := range audit.BuiltInResourceTypes() {
		object := crdconv.ResourceTypeObject(t)
		if exists[object.Name] {
			continue
		}
		err := api.Create(ctx, object, client.FieldOwner(FieldOwner))
		if err != nil && !apierrors.IsAlreadyExists(err) { // another replica was faster
			errs = append(errs, fmt.Errorf("create the AuditResourceType %s: %w", object.Name, err))
		}
	}
	return errors.Join(errs...)
}
