package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query/crdconv"
)

// ResourceTypes are the types in force: the built-in ones and those that
// AuditResourceTypes define, which replace built-in ones of the same value.
type ResourceTypes struct {
	operatorUser string
	use          func(*audit.Classifier)
	current      atomic.Pointer[[]audit.ResourceType]
}

// NewResourceTypes returns the built-in types and hands classifiers to use, now
// and with each change. The operator's own requests are those that are
// authenticated as operatorUser.
func NewResourceTypes(operatorUser string, use func(*audit.Classifier)) (*ResourceTypes, error) {
	t := &ResourceTypes{operatorUser: operatorUser, use: use}
	return t, t.set(nil)
}

// Load puts the API server's AuditResourceTypes in force.
func (t *ResourceTypes) Load(ctx context.Context, api client.Reader) error {
	var list v1alpha1.AuditResourceTypeList
	if err := api.List(ctx, &list); err != nil {
		return fmt.Errorf("list the AuditResourceTypes: %w", err)
	}
	return t.set(list.Items)
}

// All returns the types in force, the built-in ones first.
func (t *ResourceTypes) All() []audit.ResourceType { return slices.Clone(*t.current.Load()) }

func (t *ResourceTypes) set(objects []v1alpha1.AuditResourceType) error {
	types := audit.BuiltInResourceTypes()
	slices.SortFunc(objects, func(a, b v1alpha1.AuditResourceType) int { return strings.Compare(a.Name, b.Name) })
	for i := range objects {
		if !objects[i].DeletionTimestamp.IsZero() {
			continue
		}
		defined := crdconv.ResourceType(&objects[i])
		at := slices.IndexFunc(types, func(t audit.ResourceType) bool { return t.Name == defined.Name })
		if at < 0 {
			types = append(types, defined)
		} else {
			types[at] = defined
		}
	}
	classifier, err := audit.NewClassifier(types, t.operatorUser)
	if err != nil {
		return fmt.Errorf("use the AuditResourceTypes: %w", err)
	}
	t.use(classifier)
	t.current.Store(&types)
	return nil
}
