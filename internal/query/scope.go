package query

import (
	"cmp"
	"slices"
	"time"
)

// Scope says which events a caller may see. Stores add it to every statement.
// The zero Scope sees nothing. Only package auth and the controllers make
// others; the linter enforces it.
type Scope struct {
	clusterWide bool
	cluster     string
	namespaces  []Namespace
}

// Namespace is a namespace as it exists: what an earlier one of its name saw is
// not its own.
type Namespace struct {
	Name string
	// Since is when it was created; what occurred before is out of scope. The zero
	// time is no limit.
	Since time.Time
}

// Named are namespaces without a limit in time: those of a cluster in which no
// name is ever used again, as in tests.
func Named(names ...string) []Namespace {
	namespaces := make([]Namespace, len(names))
	for i, name := range names {
		namespaces[i] = Namespace{Name: name}
	}
	return namespaces
}

// ClusterWide is the scope of a caller that may see every event of every cluster.
func ClusterWide() Scope { return Scope{clusterWide: true} }

// InNamespaces is the scope of a caller that may see the events of some
// namespaces, whenever they occurred, from the sources of the operator's own
// cluster. Without a namespace it sees nothing.
func InNamespaces(cluster string, names ...string) Scope {
	return SinceCreation(cluster, Named(names...)...)
}

// SinceCreation is the scope of a caller that may see what occurred in some namespaces
// since they were created, from the sources of the operator's own cluster.
// Without a namespace it sees nothing. Of a name that comes twice the later
// creation holds.
func SinceCreation(cluster string, namespaces ...Namespace) Scope {
	// An event without a namespace is the cluster's, never a namespace's.
	named := slices.DeleteFunc(slices.Clone(namespaces), func(n Namespace) bool { return n.Name == "" })
	for i := range named {
		named[i].Since = named[i].Since.UTC().Truncate(time.Microsecond)
	}
	slices.SortFunc(named, func(a, b Namespace) int { return cmp.Or(cmp.Compare(a.Name, b.Name), b.Since.Compare(a.Since)) })
	named = slices.CompactFunc(named, func(a, b Namespace) bool { return a.Name == b.Name })
	return Scope{cluster: cluster, namespaces: named}
}

// IsClusterWide reports whether the scope has no limit.
func (s Scope) IsClusterWide() bool { return s.clusterWide }

// IsZero reports whether the scope sees nothing.
func (s Scope) IsZero() bool { return !s.clusterWide && len(s.namespaces) == 0 }

// Namespaces returns the cluster and the names of the namespaces that a limited
// scope sees, sorted; none for one that sees nothing or has no limit.
func (s Scope) Namespaces() (cluster string, names []string) {
	for _, n := range s.namespaces {
		names = append(names, n.Name)
	}
	return s.cluster, names
}

// Limits returns the cluster and the namespaces that a limited scope sees, by
// name; none for one that sees nothing or has no limit.
func (s Scope) Limits() (cluster string, namespaces []Namespace) {
	return s.cluster, slices.Clone(s.namespaces)
}

// Covers reports whether what was at a time in the given namespace of the given
// cluster is within the scope. An empty namespace means the whole cluster.
func (s Scope) Covers(cluster, namespace string, at time.Time) bool {
	if s.clusterWide {
		return true
	}
	return namespace != "" && s.cluster == cluster && slices.ContainsFunc(s.namespaces, func(n Namespace) bool {
		return n.Name == namespace && !at.Before(n.Since)
	})
}

// Within reports whether another scope sees all that this one does.
func (s Scope) Within(other Scope) bool {
	switch {
	case other.clusterWide:
		return true
	case s.clusterWide:
		return false
	}
	return !slices.ContainsFunc(s.namespaces, func(n Namespace) bool { return !other.Covers(s.cluster, n.Name, n.Since) })
}

// Equal reports whether two scopes see the same.
func (s Scope) Equal(other Scope) bool {
	same := func(a, b Namespace) bool { return a.Name == b.Name && a.Since.Equal(b.Since) }
	return s.clusterWide == other.clusterWide && slices.EqualFunc(s.namespaces, other.namespaces, same) &&
		(s.cluster == other.cluster || len(s.namespaces) == 0)
}
