package admission

import (
	"context"
	"strings"
)

// Kind is what a caller asks by. The list is fixed, so that it can be a label.
type Kind string

// The kinds.
const (
	// People ask by pages and by the API, programs among them.
	People Kind = "people"
	// Queries are query resources, which the operator answers by itself.
	Queries Kind = "queries"
)

var kinds = []Kind{People, Queries}

// Caller is in whose name something is read. Turns are taken by its key, so
// that a person has one share, however many requests it sends, and so has a
// namespace with all its service accounts and queries.
type Caller struct {
	kind Kind
	key  string
}

// unnamed is who reads where nobody was named: one caller for all of these.
var unnamed = Caller{kind: People}

const (
	ofUser      = "user/"
	ofNamespace = "namespace/"
	ofCluster   = "cluster"
)

// User is the caller of a request, by the name that Kubernetes knows it by. A
// service account, which whoever may write to its namespace can make more of,
// is its namespace.
func User(name string) Caller {
	if rest, ok := strings.CutPrefix(name, "system:serviceaccount:"); ok {
		if namespace, _, ok := strings.Cut(rest, ":"); ok {
			return Caller{People, ofNamespace + namespace}
		}
	}
	return Caller{People, ofUser + name}
}

// QueriesIn is the caller of a namespace's queries, or of those of the whole
// cluster where the namespace is empty.
func QueriesIn(namespace string) Caller {
	if namespace == "" {
		return Caller{Queries, ofCluster}
	}
	return Caller{Queries, ofNamespace + namespace}
}

type callerKey struct{}

// With returns a context in which the caller is the one who reads.
func With(ctx context.Context, caller Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// callerOf returns who reads in a context.
func callerOf(ctx context.Context) Caller {
	if caller, ok := ctx.Value(callerKey{}).(Caller); ok {
		return caller
	}
	return unnamed
}
