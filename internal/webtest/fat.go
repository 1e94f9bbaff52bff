package webtest

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
)

// FatStore returns a store of n events as AppendFat makes them.
func FatStore(t testing.TB, n int) *embedded.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	AppendFat(t, s, n)
	return s
}

// AppendFat stores n events of the last minutes, whose texts are far beyond what
// stores keep, of characters that take the most when they are written as HTML or
// JSON. All bear one audit ID.
func AppendFat(t testing.TB, s store.Store, n int) {
	t.Helper()
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	long := strings.Repeat("\x01\"&<", 1<<14)
	ip := netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
	batch := store.Batch{Source: "s", ReceivedAt: at}
	for i := range n {
		e := audit.Event{
			Source: "s", Cluster: OwnCluster, Stage: audit.StageResponseComplete, Level: "Metadata", AuditID: long,
			OccurredAt: at.Add(-time.Duration(i) * time.Millisecond), StageAt: at,
			Actor: fmt.Sprint(i, long), ActorKind: audit.ActorUser, ActedVia: long, Groups: []string{long, long}, ActedViaGroups: slices.Repeat([]string{long[:100]}, 100), CredentialID: long, Method: "GET", Verb: long,
			ResourceType: "application", Action: long, APIGroup: long, APIVersion: long, Resource: long, Subresource: long,
			Namespace: long, ResourceName: fmt.Sprint(i, long), Path: fmt.Sprint("/", i, long), StatusCode: 200, Client: audit.ClientOther,
			UserAgent: long, Raw: fmt.Appendf(nil, `{"n":%d,"long":%q}`, i, strings.Repeat("&<", 1<<10)),
		}
		for range 100 {
			e.IPs = append(e.IPs, ip)
		}
		e.RawSHA256 = sha256.Sum256(e.Raw)
		_, _ = rand.Read(e.ID[:])
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}
