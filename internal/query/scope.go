package query

import "slices"

// Scope says which events a caller may see. Stores add it to every statement.
// The zero Scope sees nothing. Only package auth and the controllers make
// others; the linter enforces it.
type Scope struct {
	clusterWide bool
	cluster     string
	namespaces  []string
}

// ClusterWide is the scope of a caller that may see every event of every cluster.
func ClusterWide() Scope { return Scope{clusterWide: true} }

// InNamespaces is the scope of a caller that may see the events of some
// namespaces from the sources of the operator's own cluster. Without a
// namespace it sees nothing.
func InNamespaces(cluster string, namespaces ...string) Scope {
	// An event without a namespace is the cluster's, never a namespace's.
	named := slices.DeleteFunc(slices.Clone(namespaces), func(n string) bool { return n == "" })
	slices.Sort(named)
	return Scope{cluster: cluster, namespaces: slices.Compact(named)}
}

// IsClusterWide reports whether the scope has no limit.
func (s Scope) IsClusterWide() bool { return s.clusterWide }

// IsZero reports whether the scope sees nothing.
func (s Scope) IsZero() bool { return !s.clusterWide && len(s.namespaces) == 0 }

// Namespaces returns the cluster and the namespaces that a limited scope sees,
// sorted; none for one that sees nothing or has no limit.
func (s Scope) Namespaces() (cluster string, namespaces []string) {
	return s.cluster, slices.Clone(s.namespaces)
}

// Covers reports whether everything of the given namespace in the given
// cluster is within the scope. An empty namespace means the whole cluster.
func (s Scope) Covers(cluster, namespace string) bool {
	if s.clusterWide {
		return true
	}
	return namespace != "" && s.cluster == cluster && slices.Contains(s.namespaces, namespace)
}

// Equal reports whether two scopes see the same.
func (s Scope) Equal(other Scope) bool {
	return s.clusterWide == other.clusterWide && slices.Equal(s.namespaces, other.namespaces) &&
		(s.cluster == other.cluster || len(s.namespaces) == 0)
}
