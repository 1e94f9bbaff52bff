package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/porter-dev/audit-operator/internal/store"
)

// Nudger has a query looked at by the controllers of this process, where it
// leads. Another one that leads finds out within a minute.
type Nudger struct {
	mu   sync.Mutex
	look map[string]func(reconcile.Request) // by kind
}

// Nudge has the query that owns a snapshot looked at soon.
func (n *Nudger) Nudge(owner store.Owner) {
	n.mu.Lock()
	look := n.look[owner.Kind]
	n.mu.Unlock()
	if look != nil {
		look(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}})
	}
}

// use has later nudges go to the controllers of this term.
func (n *Nudger) use(look map[string]func(reconcile.Request)) {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.look = look
}
