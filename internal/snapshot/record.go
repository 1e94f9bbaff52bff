package snapshot

import (
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// RecordVersion is the version of records that are written now. Version 1, of
// manifests that name none, had a boolean dryRun.
const RecordVersion = 2

// Record is one line of a snapshot: an event's typed fields. What the event
// lacks is left out. The fields stand in the order of their JSON names, so that
// a line is canonical (RFC 8785) as it is written.
type Record struct {
	ActedVia       string       `json:"actedVia,omitzero"`
	ActedViaGroups []string     `json:"actedViaGroups,omitempty"`
	Action         string       `json:"action,omitzero"`
	Actor          string       `json:"actor,omitzero"`
	ActorKind      string       `json:"actorKind,omitzero"`
	APIGroup       string       `json:"apiGroup,omitzero"`
	APIVersion     string       `json:"apiVersion,omitzero"`
	AuditID        string       `json:"auditID,omitzero"`
	Client         string       `json:"client,omitzero"`
	Cluster        string       `json:"cluster,omitzero"`
	CredentialID   string       `json:"credentialID,omitzero"`
	DryRun         audit.DryRun `json:"dryRun"`
	Foreign        bool         `json:"foreign,omitzero"`
	Groups         []string     `json:"groups,omitempty"`
	ID             string       `json:"id"`
	IngestedAt     recordTime   `json:"ingestedAt"`
	IPs            []string     `json:"ips,omitempty"`
	Level          string       `json:"level,omitzero"`
	Method         string       `json:"method,omitzero"`
	Namespace      string       `json:"namespace,omitzero"`
	OccurredAt     recordTime   `json:"occurredAt"`
	Path           string       `json:"path,omitzero"`
	RawSHA256      string       `json:"rawSHA256"`
	Resource       string       `json:"resource,omitzero"`
	ResourceName   string       `json:"resourceName,omitzero"`
	ResourceType   string       `json:"resourceType,omitzero"`
	Source         string       `json:"source,omitzero"`
	Stage          string       `json:"stage,omitzero"`
	StageAt        recordTime   `json:"stageAt"`
	StatusCode     int          `json:"statusCode,omitzero"`
	Subresource    string       `json:"subresource,omitzero"`
	Truncated      bool         `json:"truncated,omitzero"`
	UserAgent      string       `json:"userAgent,omitzero"`
	Verb           string       `json:"verb,omitzero"`
}

// recordTime is written in UTC with all of its microseconds, so that equal
// times are equal bytes and text sorts as time does.
type recordTime struct{ time.Time }

const timeLayout = `"2006-01-02T15:04:05.000000Z"`

func (t recordTime) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, timeLayout), nil
}

func (t *recordTime) UnmarshalJSON(text []byte) error {
	parsed, err := time.Parse(timeLayout, string(text))
	t.Time = parsed
	return err
}

// readDryRun reads it of records of every version.
var readDryRun = json.WithUnmarshalers(json.UnmarshalFunc(func(text []byte, d *audit.DryRun) error {
	var value string
	switch string(text) {
	case "true", "false":
		value = string(text)
	default:
		if err := json.Unmarshal(text, &value); err != nil {
			return err
		}
	}
	return d.UnmarshalText([]byte(value))
}))

// NewRecord returns the record of an event.
func NewRecord(e *audit.Event) Record {
	r := Record{
		APIGroup: e.APIGroup, APIVersion: e.APIVersion, ActedVia: e.ActedVia, ActedViaGroups: e.ActedViaGroups, Groups: e.Groups, Action: e.Action,
		Actor: e.Actor, ActorKind: e.ActorKind, AuditID: e.AuditID, Client: e.Client,
		Cluster: e.Cluster, CredentialID: e.CredentialID, DryRun: e.DryRun, ID: e.ID.String(),
		IngestedAt: recordTime{e.IngestedAt}, Level: e.Level, Method: e.Method, Namespace: e.Namespace,
		OccurredAt: recordTime{e.OccurredAt}, Path: e.Path, RawSHA256: hex.EncodeToString(e.RawSHA256[:]),
		Resource: e.Resource, ResourceName: e.ResourceName, ResourceType: e.ResourceType,
		Source: e.Source, Stage: e.Stage, StageAt: recordTime{e.StageAt}, StatusCode: e.StatusCode,
		Foreign: e.Foreign, Truncated: e.Truncated,
		Subresource: e.Subresource, UserAgent: e.UserAgent, Verb: e.Verb,
	}
	for _, ip := range e.IPs {
		r.IPs = append(r.IPs, ip.String())
	}
	return r
}

// AppendLine appends the record as one canonical line.
func (r *Record) AppendLine(b []byte) ([]byte, error) {
	start := len(b)
	encoded, err := json.Marshal(r, jsontext.AllowInvalidUTF8(false), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false))
	if err != nil {
		return b[:start], err
	}
	return append(append(b, encoded...), '\n'), nil
}

// ParseRecord reads a line of a snapshot.
func ParseRecord(line []byte) (Record, error) {
	var r Record
	err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true), readDryRun)
	return r, err
}
