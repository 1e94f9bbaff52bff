package export

import (
	"bufio"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

// Columns are the columns of a CSV file: the fields of snapshot.Record. Theirs
// is a fixed order; a new one would be added at the end.
var Columns = []string{
	"occurredAt", "actor", "method", "statusCode", "action", "resourceType", "resourceName", "namespace", "cluster", "path",
	"client", "userAgent", "ips", "actorKind", "actedVia", "credentialID", "verb", "apiGroup", "apiVersion", "resource", "subresource",
	"dryRun", "stage", "level", "stageAt", "ingestedAt", "source", "auditID", "id", "rawSHA256",
	"truncated", "foreign", "groups", "actedViaGroups",
}

// PorterColumns are the columns that exports of Porter have.
var PorterColumns = []string{
	"started_at", "method", "path", "action", "actor_type", "actor_id", "actor_name", "remote_ip", "user_agent",
	"resource_type", "resource_id", "resource_name", "cluster_id", "cluster_name",
	"preview_environment_id", "preview_environment_name", "status_code",
}

// timeLayout is UTC with all microseconds, so that text sorts as time does.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// appendRow appends the cells of an event, in the order of Columns.
func appendRow(row []string, e *audit.Event) []string {
	r := snapshot.NewRecord(e)
	return append(row,
		r.OccurredAt.UTC().Format(timeLayout), r.Actor, r.Method, status(r.StatusCode), r.Action, r.ResourceType, r.ResourceName, r.Namespace, r.Cluster, r.Path,
		r.Client, r.UserAgent, strings.Join(r.IPs, " "), r.ActorKind, r.ActedVia, r.CredentialID, r.Verb, r.APIGroup, r.APIVersion, r.Resource, r.Subresource,
		r.DryRun.String(), r.Stage, r.Level, r.StageAt.UTC().Format(timeLayout), r.IngestedAt.UTC().Format(timeLayout), r.Source, r.AuditID, r.ID, r.RawSHA256,
		strconv.FormatBool(r.Truncated), strconv.FormatBool(r.Foreign), groups(r.Groups), groups(r.ActedViaGroups),
	)
}

// appendPorterRow appends the cells of an event, in the order of PorterColumns.
// There are no preview environments here.
func appendPorterRow(row []string, e *audit.Event) []string {
	ip := ""
	if n := len(e.IPs); n > 0 {
		ip = e.IPs[n-1].String() // the one that cannot be forged
	}
	return append(row,
		e.OccurredAt.UTC().Format(timeLayout), e.Method, e.Path, e.Action, PorterActorType(e), e.Actor, e.Actor, ip, e.UserAgent,
		e.ResourceType, PorterResourceID(e), e.ResourceName, e.Cluster, e.Cluster, "", "", status(e.StatusCode),
	)
}

// The types of actors that Porter has.
const (
	PorterUser  = "user"
	PorterToken = "api_token"
)

// PorterTokenKinds are the kinds of actors that are a PorterToken: programs,
// which sign in by a credential that was made for them.
var PorterTokenKinds = []string{audit.ActorServiceAccount, audit.ActorNode, audit.ActorToken}

// PorterActorType returns PorterToken for programs, and PorterUser for all else.
func PorterActorType(e *audit.Event) string {
	if slices.Contains(PorterTokenKinds, e.ActorKind) {
		return PorterToken
	}
	return PorterUser
}

// PorterResourceID names an object as kubectl does, with its namespace, such as
// deployments.apps/shop/checkout; "" for a request that is about none.
func PorterResourceID(e *audit.Event) string {
	if e.Resource == "" || e.ResourceName == "" {
		return ""
	}
	parts := []string{e.Resource}
	if e.APIGroup != "" {
		parts[0] += "." + e.APIGroup
	}
	if e.Namespace != "" {
		parts = append(parts, e.Namespace)
	}
	return strings.Join(append(parts, e.ResourceName), "/")
}

func status(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

// csvEncoder writes RFC 4180 with the line ends of Unix.
type csvEncoder struct {
	out *csv.Writer
	row func([]string, *audit.Event) []string
	// cells of the row that is written
	cells []string
}

func newCSV(w *bufio.Writer, columns []string, row func([]string, *audit.Event) []string) (*csvEncoder, error) {
	// csv writes into w itself, as its buffer is large enough.
	e := &csvEncoder{out: csv.NewWriter(w), row: row}
	return e, e.out.Write(columns)
}

func (c *csvEncoder) encode(e *audit.Event) error {
	c.cells = c.row(c.cells[:0], e)
	for i, text := range c.cells {
		c.cells[i] = EncodeCell(text)
	}
	return c.out.Write(c.cells)
}

// failed ends the file with a row that has one cell, which no other row has.
func (c *csvEncoder) failed(int64) error { return c.out.Write([]string{Failed}) }

func (c *csvEncoder) flush() error {
	c.out.Flush()
	return c.out.Error()
}

// groups writes a list as JSON, since a group's name may hold any character.
func groups(list []string) string {
	if len(list) == 0 {
		return ""
	}
	text, err := json.Marshal(list, jsontext.AllowInvalidUTF8(true))
	if err != nil { // no list of texts makes one
		return ""
	}
	return string(text)
}
