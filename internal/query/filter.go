// Package query is the one way to ask for events: the Filter that resources,
// URLs, API bodies and command lines all convert to, the Window and Position
// that page through its answer, and the Scope that limits it.
package query

import (
	"net/netip"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// Filter selects events. Values of one field are alternatives, fields combine,
// Exclude subtracts. The zero Filter selects everything but the stage
// RequestReceived, of the default time range.
//
// Matching is exact and case-sensitive, except for methods, status classes and
// Search. One trailing * in an actor, action, resource name or path matches any
// rest, and a user agent is matched by its beginning. A value of a field of text that begins with = is literal after it. An
// event that lacks a field never matches a term on it.
type Filter struct {
	Terms
	// Exclude takes out what any of its terms matches. An actor is taken out
	// only when every identity of the event matches, and a group only when every
	// identity has one of them; an IP looks only at the
	// last address, the one that can't be forged.
	Exclude Terms
	// Search is a case-insensitive substring of path, actor or resource name.
	// Blank means none.
	Search string
	// DryRun, when set, selects only dry runs or only real ones.
	DryRun *bool
	// Truncated, when set, selects only events of which something was cut, or
	// only whole ones.
	Truncated *bool
	Range     TimeRange
}

// Terms are lists of alternatives, one list for each field.
type Terms struct {
	ResourceTypes []string
	// Actors match the effective or the authenticated identity.
	Actors        []string
	Methods       []string // of audit.Methods
	Actions       []string
	IPs           []netip.Prefix // masked, IPv4-mapped addresses unmapped, without zone
	StatusCodes   []string       // "403" or "4xx"
	ResourceNames []string
	Clusters      []string
	Clients       []string // of audit.Clients
	// Stages of audit.Stages. An empty list of a Filter means all but
	// RequestReceived.
	Stages []string
	// Namespaces; NoNamespace selects events without one.
	Namespaces []string
	// Sources are names of AuditSources, and audit.OwnSource.
	Sources []string
	// Paths of requests, as clients wrote them. One that has no ? matches whatever
	// query follows it.
	Paths      []string
	ActorKinds []string // of audit.ActorKinds
	// Resources match ResourceText, and those that begin with */ a subresource.
	Resources []string
	// Groups match those of the effective or of the authenticated identity.
	Groups   []string
	AuditIDs []string // as clients chose them
	// UserAgents are beginnings of user agents, and with = whole ones.
	UserAgents []string
}

// NoNamespace stands in Terms.Namespaces for events that have no namespace.
const NoNamespace = "-"

// DefaultStages are the stages that a filter without stages selects.
var DefaultStages = []string{audit.StageResponseStarted, audit.StageResponseComplete, audit.StagePanic}

// EffectiveStages returns the stages that the filter includes.
func (f *Filter) EffectiveStages() []string {
	if len(f.Stages) == 0 {
		return DefaultStages
	}
	return f.Stages
}

// Window is a resolved time range: occurredAt in [From, To), in UTC and whole
// microseconds.
type Window struct {
	From, To time.Time
}

// Position is an event's place in the order of all events: (OccurredAt, ID).
type Position struct {
	OccurredAt time.Time
	ID         audit.ID
}

// PositionOf returns an event's position.
func PositionOf(e *audit.Event) Position {
	return Position{OccurredAt: e.OccurredAt, ID: e.ID}
}

// Dimension names a field whose values can be counted.
type Dimension string

// The dimensions of a facet. An IP's value is the last address of an event, an
// actor's the effective identity. An event counts once for each of its groups.
const (
	ByResourceType Dimension = "resource_type"
	ByActor        Dimension = "actor"
	ByMethod       Dimension = "method"
	ByAction       Dimension = "action"
	ByIP           Dimension = "ip"
	ByStatusCode   Dimension = "status_code"
	ByResourceName Dimension = "resource_name"
	ByCluster      Dimension = "cluster"
	ByClient       Dimension = "client"
	ByStage        Dimension = "stage"
	ByNamespace    Dimension = "namespace"
	BySource       Dimension = "source"
	ByResource     Dimension = "resource"
	ByGroup        Dimension = "group"
	ByUserAgent    Dimension = "user_agent"
)

// Dimensions lists every dimension.
var Dimensions = counted()

// Without returns a copy of the filter without its own terms, included and
// excluded, on one dimension.
func (f Filter) Without(d Dimension) Filter {
	if field := FieldOf(string(d)); field != nil {
		field.clear(&f.Terms)
		field.clear(&f.Exclude)
	}
	return f
}
