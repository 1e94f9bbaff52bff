package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
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
	options      []audit.ClassifierOption
	current      atomic.Pointer[typesInForce]
}

type typesInForce struct {
	types       []audit.ResourceType
	generations map[types.UID]int64 // of the objects that were read
}

// NewResourceTypes returns the built-in types and hands classifiers to use, now
// and with each change. The operator's own requests are those that are
// authenticated as operatorUser.
func NewResourceTypes(operatorUser string, use func(*audit.Classifier), options ...audit.ClassifierOption) (*ResourceTypes, error) {
	t := &ResourceTypes{operatorUser: operatorUser, use: use, options: options}
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
func (t *ResourceTypes) All() []audit.ResourceType { return slices.Clone(t.current.Load().types) }

// has reports whether the object was read as it is, or as it was later.
func (t *ResourceTypes) has(o *v1alpha1.AuditResourceType) bool {
	generation, read := t.current.Load().generations[o.UID]
	return read && generation >= o.Generation
}

func (t *ResourceTypes) set(objects []v1alpha1.AuditResourceType) error {
	now := typesInForce{types: audit.BuiltInResourceTypes(), generations: map[types.UID]int64{}}
	slices.SortFunc(objects, func(a, b v1alpha1.AuditResourceType) int { return strings.Compare(a.Name, b.Name) })
	for i := range objects {
		now.generations[objects[i].UID] = objects[i].Generation
		if !objects[i].DeletionTimestamp.IsZero() {
			continue
		}
		defined := crdconv.ResourceType(&objects[i])
		at := slices.IndexFunc(now.types, func(t audit.ResourceType) bool { return t.Name == defined.Name })
		if at < 0 {
			now.types = append(now.types, defined)
		} else {
			now.types[at] = defined
		}
	}
	classifier, err := audit.NewClassifier(now.types, t.operatorUser, t.options...)
	if err != nil {
		return fmt.Errorf("use the AuditResourceTypes: %w", err)
	}
	t.use(classifier)
	t.current.Store(&now)
	return nil
}
