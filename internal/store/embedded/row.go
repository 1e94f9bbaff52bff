package embedded

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// columns of a day's table, in the order of day.sql.
const columns = `id, occurred_at, stage_at, ingested_at, source, cluster, audit_uuid, audit_id, level, stage,
	actor, actor_kind, acted_via, credential_id, method, verb, resource_type, action,
	api_group, api_version, resource, subresource, namespace, resource_name,
	path, status_code, dry_run, client, user_agent, ip, more_ips, raw_sha_high, raw_sha_low,
	raw_frame, raw_start, raw_size, truncated, is_foreign, groups, acted_via_groups`

// boundedColumns are columns with texts and addresses no longer than a store
// keeps them now: the database never holds more of a row, whoever wrote it.
var boundedColumns = func() string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		switch name = strings.TrimSpace(name); name {
		case "path":
			names[i] = leftOf(name, store.MaxPath)
		case "more_ips":
			names[i] = fmt.Sprintf("CASE WHEN len(more_ips) > %[1]d THEN list_concat(more_ips[:%[2]d], more_ips[-%[3]d:]) ELSE more_ips END",
				store.MaxIPs-1, store.MaxIPs/2, store.MaxIPs-1-store.MaxIPs/2)
		case "audit_id", "actor", "acted_via", "credential_id", "verb", "action", "api_group", "api_version", "resource", "subresource",
			"namespace", "resource_name", "user_agent":
			names[i] = leftOf(name, store.MaxText)
		}
	}
	return strings.Join(names, ", ")
}()

// leftOf is so much of a text that store.Bounded sees whether it is too long.
func leftOf(column string, most int) string {
	return "left(" + column + ", " + strconv.Itoa(most+1) + ")"
}

// place is where an event's raw is: in the frame that starts at an offset of
// the day's segment, size bytes from start of the unpacked frame.
type place struct {
	frame       int64
	start, size int32
}

// packIPs returns the addresses as 16 bytes each. Those that are none are left
// out, and zones, which mean nothing on another machine.
func packIPs(ips []netip.Addr) [][16]byte {
	packed := make([][16]byte, 0, 4)
	for _, ip := range ips {
		if ip.IsValid() {
			packed = append(packed, ip.WithZone("").As16())
		}
	}
	return packed
}

func unpackIP(b []byte) netip.Addr {
	ip, _ := netip.AddrFromSlice(b)
	return ip.Unmap()
}

// parseUUID reads the one form that uuidText gives back unchanged.
func parseUUID(s string) ([16]byte, bool) {
	var u [16]byte
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	at := 0
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			i++
			continue
		}
		high, ok1 := hexDigit(s[i])
		low, ok2 := hexDigit(s[i+1])
		if !ok1 || !ok2 {
			return u, false
		}
		u[at] = high<<4 | low
		at++
		i += 2
	}
	return u, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// uuidText returns 16 bytes as a UUID is written: how they are bound, too,
// because the driver does not bind UUIDs.
func uuidText(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// scanRow reads the columns of a row, and what was asked for besides.
func scanRow(rows *sql.Rows, e *audit.Event, at *place, more ...any) error {
	var (
		id, auditUUID, ip, shaHigh, shaLow []byte
		occurredAt, stageAt, ingestedAt    int64
		moreIPs                            any
		groups, actedViaGroups             sql.NullString // NULL in rows of before format 4
	)
	if err := rows.Scan(append([]any{&id, &occurredAt, &stageAt, &ingestedAt, &e.Source, &e.Cluster, &auditUUID, &e.AuditID, &e.Level, &e.Stage,
		&e.Actor, &e.ActorKind, &e.ActedVia, &e.CredentialID, &e.Method, &e.Verb, &e.ResourceType, &e.Action,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName,
		&e.Path, &e.StatusCode, &e.DryRun, &e.Client, &e.UserAgent, &ip, &moreIPs, &shaHigh, &shaLow,
		&at.frame, &at.start, &at.size, &e.Truncated, &e.Foreign, &groups, &actedViaGroups}, more...)...); err != nil {
		return fmt.Errorf("read a row: %w", err)
	}
	copy(e.ID[:], id)
	e.Groups, e.ActedViaGroups = splitGroups(groups.String), splitGroups(actedViaGroups.String)
	e.OccurredAt = fromMicro(occurredAt)
	e.StageAt = fromMicro(stageAt)
	e.IngestedAt = fromMicro(ingestedAt)
	if auditUUID != nil {
		e.AuditID = uuidText(auditUUID)
	}
	if list, ok := moreIPs.([]any); ok {
		for _, item := range list {
			if b, ok := item.([]byte); ok {
				e.IPs = append(e.IPs, unpackIP(b))
			}
		}
	}
	if ip != nil {
		e.IPs = append(e.IPs, unpackIP(ip))
	}
	copy(e.RawSHA256[:16], shaHigh)
	copy(e.RawSHA256[16:], shaLow)
	*e = *store.Bounded(e)
	return nil
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }
