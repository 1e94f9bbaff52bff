package embedded

import (
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// columns of a day's table, in the order of day.sql.
const columns = `id, occurred_at, stage_at, ingested_at, source, cluster, audit_uuid, audit_id, level, stage,
	actor, actor_kind, acted_via, credential_id, method, verb, resource_type, action,
	api_group, api_version, resource, subresource, namespace, resource_name,
	path, status_code, dry_run, client, user_agent, ip, more_ips, raw_sha_high, raw_sha_low,
	raw_frame, raw_start, raw_size`

const columnCount = 36

// place is where an event's raw is: in the frame that starts at an offset of
// the day's segment, size bytes from start of the unpacked frame.
type place struct {
	frame       int64
	start, size int32
}

// rowValues fills row with an event's columns. The driver stores text that
// isn't valid UTF-8 as NULL without a word, so every text passes store.Text.
func rowValues(row []driver.Value, e *audit.Event, ingestedAt time.Time, at place) {
	n := 0
	add := func(v driver.Value) { row[n] = v; n++ }
	text := func(values ...string) {
		for _, v := range values {
			add(store.Text(v))
		}
	}
	add(duckdb.UUID(e.ID))
	add(e.OccurredAt.UnixMicro())
	add(e.StageAt.UnixMicro())
	add(ingestedAt.UnixMicro())
	text(e.Source, e.Cluster)
	if uuid, ok := parseUUID(e.AuditID); ok {
		add(uuid)
		add("")
	} else {
		add(nil)
		text(e.AuditID)
	}
	text(e.Level, e.Stage, e.Actor, e.ActorKind, e.ActedVia, e.CredentialID,
		e.Method, e.Verb, e.ResourceType, e.Action,
		e.APIGroup, e.APIVersion, e.Resource, e.Subresource, e.Namespace, e.ResourceName, e.Path)
	add(int32(e.StatusCode))
	add(e.DryRun)
	text(e.Client, e.UserAgent)
	last, more := packIPs(e.IPs)
	add(last)
	add(more)
	add(duckdb.UUID(e.RawSHA256[:16]))
	add(duckdb.UUID(e.RawSHA256[16:]))
	add(at.frame)
	add(at.start)
	add(at.size)
}

// packIPs returns the columns ip and more_ips. Addresses that are none are
// left out, and zones, which mean nothing on another machine.
func packIPs(ips []netip.Addr) (last, more driver.Value) {
	var packed []duckdb.UUID
	for _, ip := range ips {
		if ip.IsValid() {
			packed = append(packed, duckdb.UUID(ip.WithZone("").As16()))
		}
	}
	switch n := len(packed); n {
	case 0:
		return nil, nil
	case 1:
		return packed[0], nil
	default:
		return packed[n-1], packed[:n-1]
	}
}

func unpackIP(b []byte) netip.Addr {
	ip, _ := netip.AddrFromSlice(b)
	return ip.Unmap()
}

// parseUUID reads the one form that uuidText gives back unchanged.
func parseUUID(s string) (duckdb.UUID, bool) {
	var u duckdb.UUID
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

// scanRow reads the columns of a row.
func scanRow(rows *sql.Rows, e *audit.Event, at *place) error {
	var (
		id, auditUUID, ip, shaHigh, shaLow []byte
		occurredAt, stageAt, ingestedAt    int64
		moreIPs                            any
	)
	if err := rows.Scan(&id, &occurredAt, &stageAt, &ingestedAt, &e.Source, &e.Cluster, &auditUUID, &e.AuditID, &e.Level, &e.Stage,
		&e.Actor, &e.ActorKind, &e.ActedVia, &e.CredentialID, &e.Method, &e.Verb, &e.ResourceType, &e.Action,
		&e.APIGroup, &e.APIVersion, &e.Resource, &e.Subresource, &e.Namespace, &e.ResourceName,
		&e.Path, &e.StatusCode, &e.DryRun, &e.Client, &e.UserAgent, &ip, &moreIPs, &shaHigh, &shaLow,
		&at.frame, &at.start, &at.size); err != nil {
		return fmt.Errorf("read a row: %w", err)
	}
	copy(e.ID[:], id)
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
	return nil
}

func fromMicro(us int64) time.Time { return time.UnixMicro(us).UTC() }
