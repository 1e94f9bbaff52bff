package postgres

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// eventColumns are what scanEvent reads: of rows (r) and of the dictionaries'
// kinds (k), places (p), actors (a) and agents (g).
const eventColumns = `r.id, r.occurred_at, r.stage_at, r.ingested_at, g.source, p.cluster, r.audit_uuid, r.audit_id, k.level, k.stage,
	a.actor, a.actor_kind, a.acted_via, g.credential_id, k.method, k.verb, k.resource_type, k.action,
	k.api_group, k.api_version, k.resource, k.subresource, p.namespace, r.resource_name,
	r.path, k.status_code, k.dry_run, k.client, g.user_agent, r.ip, r.more_ips, r.raw_sha256, r.raw_batch, r.raw_start, r.raw_size,
	k.truncated, p.is_foreign, a.groups, a.acted_via_groups`

// boundedColumns are eventColumns with texts and addresses no longer than a
// store keeps them now, so that no row takes more of a connection, whoever
// wrote it.
var boundedColumns = func() string {
	names := strings.Split(eventColumns, ",")
	for i, name := range names {
		switch name = strings.TrimSpace(name); name {
		case "r.path":
			names[i] = leftOf(name, store.MaxPath)
		case "r.more_ips":
			names[i] = fmt.Sprintf("CASE WHEN cardinality(%[1]s) > %[2]d THEN %[1]s[:%[3]d] || %[1]s[cardinality(%[1]s)-%[4]d:] ELSE %[1]s END",
				name, store.MaxIPs-1, store.MaxIPs/2, store.MaxIPs-2-store.MaxIPs/2)
		case "r.audit_id", "r.resource_name", "a.actor", "a.acted_via", "g.credential_id", "g.user_agent", "k.verb", "k.action",
			"k.api_group", "k.api_version", "k.resource", "k.subresource", "p.namespace":
			names[i] = leftOf(name, store.MaxText)
		}
	}
	return strings.Join(names, ", ")
}()

// leftOf is so much of a text that store.Bounded sees whether it is too long.
func leftOf(column string, most int) string {
	return "left(" + column + ", " + strconv.Itoa(most+1) + ")"
}

// joinDictionaries adds to rows (r) what their numbers stand for.
const joinDictionaries = ` JOIN audit_kinds k ON k.id = r.kind_id JOIN audit_places p ON p.id = r.place_id
	JOIN audit_actors a ON a.id = r.actor_id JOIN audit_agents g ON g.id = r.agent_id`

// rawPlace is where an event's raw is: in the day's blob of a batch, size
// bytes from start when it is unpacked.
type rawPlace struct {
	batch       int64
	start, size int32
}

func scanEvent(row pgx.CollectableRow) (audit.Event, rawPlace, error) {
	var (
		e         audit.Event
		at        rawPlace
		auditUUID pgtype.UUID
		auditID   pgtype.Text
		ip        *netip.Addr
		sum       []byte
		dryRun    *bool
	)
	err := row.Scan((*[16]byte)(&e.ID), &e.OccurredAt, &e.StageAt, &e.IngestedAt, &e.Source, &e.Cluster, &auditUUID, &auditID, &e.Level, &e.Stage,
		&e.Actor, &e.ActorKind, &e.ActedVia, &e.CredentialID, &e.Method, &e.Verb, &e.ResourceType, &e.Action,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName,
		&e.Path, &e.StatusCode, &dryRun, &e.Client, &e.UserAgent, &ip, &e.IPs, &sum, &at.batch, &at.start, &at.size,
		&e.Truncated, &e.Foreign, &e.Groups, &e.ActedViaGroups)
	if err != nil {
		return e, at, err
	}
	switch {
	case dryRun == nil:
		e.DryRun = audit.DryRunUnknown
	case *dryRun:
		e.DryRun = audit.DryRunTrue
	}
	for _, t := range []*time.Time{&e.OccurredAt, &e.StageAt, &e.IngestedAt} {
		*t = t.UTC()
	}
	e.AuditID = auditID.String
	if auditUUID.Valid {
		e.AuditID = auditUUID.String()
	}
	if ip != nil {
		e.IPs = append(e.IPs, *ip)
	}
	copy(e.RawSHA256[:], sum)
	return *store.Bounded(&e), at, nil
}

func collectEvents(rows pgx.Rows) ([]audit.Event, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (audit.Event, error) {
		e, _, err := scanEvent(row)
		return e, err
	})
}
