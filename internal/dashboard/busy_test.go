package dashboard_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

// rawEvent is an event as an API server sends it.
const rawEvent = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":%q,"verb":%q,` +
	`"user":{"username":%q,"uid":"5d2f6a0c","groups":["engineering","system:authenticated"]},"sourceIPs":["%s"],"userAgent":%q,` +
	`"objectRef":{"resource":%q,"namespace":%q,"name":%q,"apiGroup":"apps","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":%d},` +
	`"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}`

// busyStore returns a store with a week of a busy cluster, the same every time.
func busyStore(t *testing.T, n int) store.Store {
	t.Helper()
	s := embeddedtest.Open(t, embedded.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	now := time.Now().UTC().Truncate(time.Microsecond)
	batch := store.Batch{Source: "apiserver", ReceivedAt: now}
	for i := range n {
		// More by day than by night, and two bursts.
		at := now.Add(-time.Duration(random.ExpFloat64() * float64(30*time.Hour)))
		if i%11 == 0 {
			at = now.Add(-50*time.Hour - time.Duration(random.IntN(7200))*time.Second)
		}
		if now.Sub(at) > 160*time.Hour {
			at = now.Add(-time.Duration(random.IntN(160*3600)) * time.Second)
		}
		kind := pick("application", "application", "environment_group", "cluster", "project", "addon", "datastore")
		method := pick("GET", "GET", "POST", "PATCH", "PUT", "DELETE")
		verb := map[string]string{"GET": "list", "POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}[method]
		e := audit.Event{
			Source: "apiserver", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, Level: "Metadata", OccurredAt: at.Truncate(time.Microsecond),
			Actor:     pick("alice@example.com", "bob@example.com", "system:serviceaccount:ci:deployer", "system:serviceaccount:argocd:argocd-application-controller", "system:node:worker-3", "carol@example.com"),
			ActorKind: audit.ActorUser, Method: method, Verb: verb, ResourceType: kind, Action: kind + "." + verb, APIGroup: "apps", APIVersion: "v1",
			Namespace: pick("shop", "shop", "billing", "kube-system"), Resource: pick("deployments", "configmaps", "pods", "secrets", "roles"),
			ResourceName: pick("checkout", "cart", "payments-worker", "frontend-config", "redis-primary-7d9c8b6f5-x2k4q", ""),
			StatusCode:   []int{200, 200, 200, 201, 403, 404, 409, 500}[random.IntN(8)],
			Client:       pick(audit.ClientCLI, audit.ClientController, audit.ClientOther), UserAgent: "kubectl/v1.37.0",
			IPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(random.IntN(4)), byte(random.IntN(60))})},
		}
		if i%9 == 0 {
			e.ActedVia = "system:serviceaccount:porter:dashboard"
		}
		e.Path = "/apis/apps/v1/namespaces/" + e.Namespace + "/" + e.Resource + "/" + e.ResourceName
		e.StageAt = e.OccurredAt
		e.AuditID = fmt.Sprintf("8c1f6b5e-0d5a-4f0e-9d5c-%012d", i)
		e.Raw = fmt.Appendf(nil, rawEvent, e.AuditID, e.Path, e.Verb, e.Actor, e.IPs[0], e.UserAgent, e.Resource, e.Namespace, e.ResourceName, e.StatusCode,
			e.OccurredAt.Format(time.RFC3339Nano), e.StageAt.Format(time.RFC3339Nano))
		e.RawSHA256 = sha256.Sum256(e.Raw)
		binary.BigEndian.PutUint64(e.ID[:], random.Uint64())
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return s
}
