// Package audit is the event model: it decodes what audit backends deliver,
// gives each event its identity, takes secrets out of it and classifies it.
//
// The package does no I/O but reading, and knows nothing of stores or servers.
package audit

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"
)

// ID is the identity of an event: the first 128 bits of HMAC-SHA-256, under the
// store's key, over the fields that the API server wrote. Two deliveries of one
// event to a store have the same ID; a request that reuses another's auditID has
// not.
type ID [16]byte

// String returns the ID as 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String returns.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("event id: want %d hexadecimal digits, got %d characters", 2*len(id), len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("event id: want %d hexadecimal digits", 2*len(id))
	}
	if id.String() != s {
		return ID{}, fmt.Errorf("event id: want lower-case hexadecimal digits")
	}
	return id, nil
}

// Stages of a request, as audit.k8s.io/v1 names them.
const (
	StageRequestReceived  = "RequestReceived"
	StageResponseStarted  = "ResponseStarted"
	StageResponseComplete = "ResponseComplete"
	StagePanic            = "Panic"
)

// Stages lists the known stages in the order in which a request passes them.
var Stages = []string{StageRequestReceived, StageResponseStarted, StageResponseComplete, StagePanic}

// Methods lists the values of Event.Method.
var Methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "OTHER"}

// Values of Event.ActorKind.
const (
	ActorUser           = "user"
	ActorServiceAccount = "service_account"
	ActorNode           = "node"
	ActorToken          = "token"
	ActorAnonymous      = "anonymous"
)

// ActorKinds lists the values of Event.ActorKind.
var ActorKinds = []string{ActorUser, ActorServiceAccount, ActorNode, ActorToken, ActorAnonymous}

// Values of Event.Client.
const (
	ClientCLI        = "cli"
	ClientController = "controller"
	ClientNode       = "node"
	ClientOperator   = "operator"
	ClientOther      = "other"
)

// Clients lists the values of Event.Client.
var Clients = []string{ClientCLI, ClientController, ClientNode, ClientOperator, ClientOther}

// OwnSource is the source of the operator's own records. No AuditSource may
// have its name.
const OwnSource = "audit-operator"

// Event is one stage of one request: the typed row that is stored, filtered
// and shown. Text comes from clients and is never to be trusted as markup.
// Times are in UTC and whole microseconds. An empty string, a zero StatusCode
// and an empty list mean that the event lacks the field.
type Event struct {
	ID      ID
	Source  string // the AuditSource that delivered it
	Cluster string // that source's cluster
	AuditID string // chosen by the client; links the stages of a request
	Level   string
	Stage   string // one of Stages

	OccurredAt time.Time // when the request was received, else when the stage was reached
	StageAt    time.Time // when the stage was reached
	IngestedAt time.Time // when the commit that stored it began; set by the store

	Actor        string // the effective user
	ActorKind    string
	ActedVia     string // the authenticated user, when it impersonates Actor
	CredentialID string // the token or certificate that was used

	// Groups of Actor, and ActedViaGroups of ActedVia, in their order. Whoever
	// impersonates chooses the groups of Actor too.
	Groups         []string
	ActedViaGroups []string

	Method       string // one of Methods
	Verb         string // as Kubernetes wrote it
	ResourceType string
	Action       string // <resourceType>.<verb or subresource>

	APIGroup     string
	APIVersion   string
	Resource     string
	Subresource  string
	Namespace    string // from the path, never from objectRef alone
	ResourceName string

	Path       string // requestURI, with secret parameters taken out
	StatusCode int
	DryRun     DryRun
	Client     string // one of Clients
	UserAgent  string
	IPs        []netip.Addr // sourceIPs; only the last one cannot be forged

	// Truncated reports that a text of the event or of its raw was cut, or that
	// a part of it was replaced by a mark.
	Truncated bool
	// Foreign means that the event is of a resource of an API group that its
	// source does not serve: what the source says of it is another's to say. It
	// is in no namespace's scope.
	Foreign bool

	RawSHA256 [32]byte // of Raw
	Raw       []byte   // the redacted event as one JSON object; nil unless asked for
}

// Day returns the UTC day that the event belongs to, as its midnight.
func (e *Event) Day() time.Time { return Day(e.OccurredAt) }

// Day returns the midnight that begins t's UTC day.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Quarantined is an item that could not become an event. It holds nothing
// secret: Redacted is empty for what is not JSON.
type Quarantined struct {
	Source     string
	Cluster    string // of the source, like that of its events; empty where unknown
	ReceivedAt time.Time
	Reason     string // why, in words an administrator can act on
	Size       int64  // of the item as received, in bytes
	// Hash is HMAC-SHA-256 of the item as received, under the store's key; of an
	// event that a store can't keep it is RawSHA256.
	Hash     [32]byte
	Redacted []byte // the item without its secrets, when it was JSON
}
