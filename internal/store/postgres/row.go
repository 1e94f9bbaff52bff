package postgres

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// row is an event on its way to audit_rows.
type row struct {
	event  *audit.Event
	day    dayNumber
	place  place
	keys   [dictionaries]key
	copied []byte // as COPY wants it, but for what settle sets
}

// place is where an event's raw is: in a blob of the job, size bytes from
// start when it is unpacked.
type place struct{ blob, start, size int }

// rowColumns of audit_rows in the order in which encodeRow writes them.
const rowColumns = `occurred_at, stage_at, ingested_at, raw_batch, raw_start, raw_size, kind_id, place_id, actor_id, agent_id, folded,
	id, audit_uuid, ip, raw_sha256, audit_id, more_ips, resource_name, path`

// The binary format of COPY: a header, rows, a trailer. A row is the number of
// its columns and each column's size and value; the size of NULL is -1.
var (
	copyHeader  = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	copyTrailer = []byte{0xff, 0xff}
)

const rowColumnCount = 19

// Where the values lie that only a committer knows: behind the number of
// columns and, each with its size before it, the columns to their left.
const (
	atIngested = 2 + 2*(4+8) + 4
	atRawBatch = atIngested + 8 + 4
	atFirstID  = atRawBatch + 8 + 2*(4+4) + 4
)

// encodeRow makes a row. Every text passes store.Text: PostgreSQL takes neither
// NUL nor invalid UTF-8.
func encodeRow(e *audit.Event, day dayNumber, at place) row {
	name, path := store.Text(e.ResourceName), store.Text(e.Path)
	b := make([]byte, 0, 224+len(name)+len(path)+len(e.AuditID)+24*len(e.IPs))
	b = binary.BigEndian.AppendUint16(b, rowColumnCount)
	b = appendInt64(b, timestamp(e.OccurredAt))
	b = appendInt64(b, timestamp(e.StageAt))
	b = appendInt64(b, 0) // ingested_at
	b = appendInt64(b, 0) // raw_batch
	b = appendInt32(b, int32(at.start))
	b = appendInt32(b, int32(at.size))
	for range dictionaries {
		b = appendInt32(b, 0)
	}
	b = appendBool(b, isFolded(name) && isFolded(path))
	b = appendBytes(b, e.ID[:])
	uuid, isUUID := parseUUID(e.AuditID)
	if isUUID {
		b = appendBytes(b, uuid[:])
	} else {
		b = appendNull(b)
	}
	last, more := splitIPs(e.IPs)
	b = appendInet(b, last)
	b = appendBytes(b, e.RawSHA256[:])
	if isUUID || e.AuditID == "" {
		b = appendNull(b)
	} else {
		b = appendText(b, store.Text(e.AuditID))
	}
	b = appendInets(b, more)
	b = appendText(b, name)
	b = appendText(b, path)
	return row{event: e, day: day, place: at, keys: keysOf(e), copied: b}
}

// settle sets what was not known when the row was encoded.
func (r *row) settle(ingestedAt time.Time, rawBatch int64, ids [dictionaries]int32) {
	binary.BigEndian.PutUint64(r.copied[atIngested:], uint64(timestamp(ingestedAt)))
	binary.BigEndian.PutUint64(r.copied[atRawBatch:], uint64(rawBatch))
	for i, id := range ids {
		binary.BigEndian.PutUint32(r.copied[atFirstID+i*(4+4):], uint32(id))
	}
}

// timestamp is a time as PostgreSQL holds it: microseconds since 2000.
func timestamp(t time.Time) int64 { return t.UnixMicro() - epoch2000 }

const epoch2000 = 946_684_800 * 1_000_000

func appendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(v))
}

func appendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(v))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 0, 0, 0, 1, 1)
	}
	return append(b, 0, 0, 0, 1, 0)
}

func appendBytes(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

// splitIPs returns the last address, which can't be forged, and those before
// it. What is no address is left out, and zones, which mean nothing on another
// machine.
func splitIPs(ips []netip.Addr) (last netip.Addr, more []netip.Addr) {
	for _, ip := range ips {
		if !ip.IsValid() {
			continue
		}
		if last.IsValid() {
			more = append(more, last)
		}
		last = ip.Unmap().WithZone("")
	}
	return last, more
}

// appendInet appends an address: family, bits, whether it is a network, size
// and bytes.
func appendInet(b []byte, ip netip.Addr) []byte {
	const inet4, inet6 = 2, 3
	switch {
	case !ip.IsValid():
		return appendNull(b)
	case ip.Is4():
		address := ip.As4()
		return append(append(b, 0, 0, 0, 8, inet4, 32, 0, 4), address[:]...)
	}
	address := ip.As16()
	return append(append(b, 0, 0, 0, 20, inet6, 128, 0, 16), address[:]...)
}

// appendInets appends an array: dimensions, whether it has NULLs, type of the
// elements, their number, the index of the first, and each as a column is.
func appendInets(b []byte, ips []netip.Addr) []byte {
	const inetOID = 869
	if len(ips) == 0 {
		return appendNull(b)
	}
	start := len(b)
	b = append(b, 0, 0, 0, 0) // the size
	for _, v := range []uint32{1, 0, inetOID, uint32(len(ips)), 1} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, ip := range ips {
		b = appendInet(b, ip)
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b
}

// parseUUID reads the one form that PostgreSQL gives back unchanged.
func parseUUID(s string) (uuid [16]byte, ok bool) {
	if len(s) != 36 {
		return uuid, false
	}
	at := 0
	for i := 0; i < len(s); {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return uuid, false
			}
			i++
			continue
		}
		high, ok1 := hexDigit(s[i])
		low, ok2 := hexDigit(s[i+1])
		if !ok1 || !ok2 {
			return uuid, false
		}
		uuid[at] = high<<4 | low
		at++
		i += 2
	}
	return uuid, true
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
