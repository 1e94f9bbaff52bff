package web_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/snapshot"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// realm is what rights are about: the events of one namespace of one cluster,
// or of none. Each of its events bears the realm's mark in every field that
// may hold a text, so that one byte of it in an answer is found.
type realm struct {
	mark               string
	cluster, namespace string
	n                  int // events; no two sums of some realms' are equal
	code               int // of all its answers, and no other realm's
	// foreign events are of API groups that their source does not serve.
	foreign bool
}

var (
	shop    = &realm{mark: "zqshopzq", cluster: webtest.OwnCluster, namespace: "qshop", n: 3, code: 211}
	billing = &realm{mark: "zqbillzq", cluster: webtest.OwnCluster, namespace: "qbilling", n: 6, code: 212}
	payroll = &realm{mark: "zqpayrzq", cluster: webtest.OwnCluster, namespace: "qpayroll", n: 12, code: 213}
	// prefixed has a name that begins with another's.
	prefixed = &realm{mark: "zqprefzq", cluster: webtest.OwnCluster, namespace: "qshop-two", n: 24, code: 214}
	// gone is a namespace that was deleted; its events remain.
	gone = &realm{mark: "zqgonezq", cluster: webtest.OwnCluster, namespace: "qgone", n: 1, code: 215}
	// nowhere holds what belongs to no namespace.
	nowhere = &realm{mark: "zqnonezq", cluster: webtest.OwnCluster, namespace: "", n: 48, code: 216}
	// elsewhere is a namespace of the same name in another cluster.
	elsewhere = &realm{mark: "zqeastzq", cluster: "qeast", namespace: "qshop", n: 96, code: 217}

	// forged is what an aggregated API server says of another's objects in shop.
	forged = &realm{mark: "zqforgzq", cluster: webtest.OwnCluster, namespace: "qshop", n: 5, code: 218, foreign: true}

	realms = []*realm{shop, billing, payroll, prefixed, gone, nowhere, elsewhere, forged}
)

// block is the part of an address that only the realm's events have.
func (r *realm) block() string { return fmt.Sprintf("2001:db8:%x:", 0xa000+r.code) }

// absent stands for what no store holds.
const absent = "zqvoidzq"

// one audit ID is borne by the newest event of every realm.
const shared = "0f0e0d0c-0b0a-4908-8706-050403020100"

// oneQuery made all snapshots, each with another scope: to have made one that a
// caller may see gives no right to the others.
const oneQuery = "uid-of-all"

func (r *realm) event(i int, at time.Time) audit.Event {
	m := r.mark
	e := audit.Event{
		Foreign: r.foreign, Source: "source-" + m, Cluster: r.cluster, AuditID: "audit-" + m, Level: "Metadata", Stage: audit.StageResponseComplete,
		OccurredAt: at, StageAt: at, Actor: "actor-" + m + "@example.com", ActorKind: audit.ActorUser, ActedVia: "via-" + m, CredentialID: "JTI=" + m,
		Groups: []string{"everybody", "team-" + m}, ActedViaGroups: []string{"admins-" + m},
		Method: "POST", Verb: "verb-" + m, ResourceType: "type_" + m, Action: "action." + m,
		APIGroup: "group." + m, APIVersion: "v-" + m, Resource: "res-" + m, Subresource: "sub-" + m, Namespace: r.namespace, ResourceName: "name-" + m,
		Path: "/path/" + m + "/common", StatusCode: r.code, Client: audit.ClientOther, UserAgent: "agent-" + m,
		IPs: []netip.Addr{netip.MustParseAddr(r.block() + ":1")}, Raw: fmt.Appendf(nil, `{"raw":%q,"n":%d}`, m, i),
	}
	if i == 0 {
		e.AuditID = shared
	}
	e.RawSHA256 = sha256.Sum256(e.Raw)
	id := sha256.Sum256(fmt.Append(nil, m, i))
	copy(e.ID[:], id[:])
	return e
}

// holdings are a store's, and what is known of them.
type holdings struct {
	store     store.Store
	events    []audit.Event // newest first
	of        map[audit.ID]*realm
	newest    map[*realm]audit.ID
	snapshots []*kept
	begin     string // the position of the tail before there was anything
}

// kept is a snapshot.
type kept struct {
	realm *realm // nil for one of everything
	store.Manifest
}

// fill gives a store events of every realm, whose times alternate.
func fill(t *testing.T, s store.Store) *holdings {
	t.Helper()
	h := &holdings{store: s, of: map[audit.ID]*realm{}, newest: map[*realm]audit.ID{}}
	tail, err := s.Tail(t.Context(), query.ClusterWide(), store.TailRequest{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	h.begin = tail.Next
	base := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	for k, r := range realms {
		batch := store.Batch{Source: "source-" + r.mark, ReceivedAt: time.Now()}
		for i := range r.n {
			e := r.event(i, base.Add(-time.Duration(10*i+k)*time.Second))
			batch.Events = append(batch.Events, e)
			h.of[e.ID] = r
		}
		h.newest[r] = batch.Events[0].ID
		h.events = append(h.events, batch.Events...)
		if got, err := s.Append(t.Context(), batch); err != nil || got.Stored != r.n {
			t.Fatalf("store the events of %s: %+v, %v", r.mark, got, err)
		}
	}
	slices.SortFunc(h.events, func(a, b audit.Event) int { return b.OccurredAt.Compare(a.OccurredAt) })

	for k, r := range append([]*realm{nil}, shop, billing, payroll, gone, elsewhere) {
		scope, owner := query.ClusterWide(), store.Owner{Kind: "ClusterAuditLogQuery", Name: "query-zqnonezq", UID: oneQuery}
		if r != nil {
			scope = query.InNamespaces(r.cluster, r.namespace)
			owner = store.Owner{Kind: "AuditLogQuery", Namespace: r.namespace, Name: "query-" + r.mark, UID: oneQuery}
		}
		m, err := snapshot.Take(t.Context(), s, snapshot.Request{
			ID: snapshot.LegacyID(owner.UID, int64(k), ""), Owner: owner, Scope: scope, Limit: 1000, Now: time.Now(), Retention: 720 * time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		h.snapshots = append(h.snapshots, &kept{r, m})
	}
	return h
}

// those are the realms of some that meet a condition.
func those(of []*realm, which func(*realm) bool) []*realm {
	return slices.DeleteFunc(slices.Clone(of), func(r *realm) bool { return !which(r) })
}

// count is the number of events of some realms.
func count(seen []*realm) (n int) {
	for _, r := range seen {
		n += r.n
	}
	return n
}
