package query

// Scope says which events a caller may see. Stores add it to every statement.
// The zero Scope sees nothing. Only package auth and the controllers make
// others; the linter enforces it.
type Scope struct {
	clusterWide bool
	cluster     string
	namespace   string
}

// ClusterWide is the scope of a caller that may see every event of every cluster.
func ClusterWide() Scope { return Scope{clusterWide: true} }

// InNamespace is the scope of a caller that may see one namespace's events
// from the sources of the operator's own cluster. Without a namespace it sees
// nothing.
func InNamespace(cluster, namespace string) Scope {
	return Scope{cluster: cluster, namespace: namespace}
}

// IsClusterWide reports whether the scope has no limit.
func (s Scope) IsClusterWide() bool { return s.clusterWide }

// Namespace returns the cluster and namespace that a namespaced scope is
// limited to, and whether there is one.
func (s Scope) Namespace() (cluster, namespace string, ok bool) {
	return s.cluster, s.namespace, !s.clusterWide && s.namespace != ""
}

// Covers reports whether everything of the given namespace in the given
// cluster is within the scope. An empty namespace means the whole cluster.
func (s Scope) Covers(cluster, namespace string) bool {
	if s.clusterWide {
		return true
	}
	return namespace != "" && s.namespace == namespace && s.cluster == cluster
}
