package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// maker makes events as a cluster sends them: about 1.25 KB of raw, with the
// parts that differ between any two requests.
type maker struct {
	random *rand.Rand
	at     time.Time
}

func newMaker(seed uint64) *maker {
	return &maker{random: rand.New(rand.NewPCG(seed, 1)), at: time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Microsecond)}
}

func (m *maker) batch(n int) store.Batch {
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = m.event()
	}
	return store.Batch{Source: "bench", ReceivedAt: time.Now(), Events: events}
}

func (m *maker) event() audit.Event {
	r := m.random
	m.at = m.at.Add(time.Duration(r.IntN(200)) * time.Microsecond)
	resource := []string{"deployments", "pods", "configmaps", "secrets", "leases"}[r.IntN(5)]
	verb, method := "update", "PUT"
	if r.IntN(3) > 0 {
		verb, method = "get", "GET"
	}
	namespace := fmt.Sprint("team-", r.IntN(40))
	name := fmt.Sprintf("service-%d-%05x", r.IntN(300), r.IntN(1<<20))
	actor := fmt.Sprintf("system:serviceaccount:%s:controller-%d", namespace, r.IntN(8))
	ip := netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(256))})
	var seed [16]byte
	binary.LittleEndian.PutUint64(seed[:], r.Uint64())
	binary.LittleEndian.PutUint64(seed[8:], r.Uint64())
	auditID := uuidText(seed[:])
	path := "/apis/apps/v1/namespaces/" + namespace + "/" + resource + "/" + name
	at := m.at.Format("2006-01-02T15:04:05.000000Z")
	raw := fmt.Appendf(nil, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":%q,"verb":%q,`+
		`"user":{"username":%q,"uid":"5b8f1c3e-8d1f-4b3a-9a8e-2f1d0c9b7a65","groups":["system:serviceaccounts","system:serviceaccounts:%s","system:authenticated"],`+
		`"extra":{"authentication.kubernetes.io/credential-id":["JTI=%x"],"authentication.kubernetes.io/node-name":["ip-10-0-1-17.eu-central-1.compute.internal"],`+
		`"authentication.kubernetes.io/pod-name":["controller-manager-6d5f8c7b9-x2x7k"]}},"sourceIPs":[%q],"userAgent":"controller-manager/v1.36.2 (linux/amd64) kubernetes/9f3b2c1/controller",`+
		`"objectRef":{"resource":%q,"namespace":%q,"name":%q,"apiGroup":"apps","apiVersion":"v1","resourceVersion":"%d"},"responseStatus":{"metadata":{},"code":200},`+
		`"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{"authorization.k8s.io/decision":"allow",`+
		`"authorization.k8s.io/reason":"RBAC: allowed by ClusterRoleBinding \"system:controller:deployment-controller\" of ClusterRole \"deployment-controller\" to ServiceAccount"}}`,
		auditID, path, verb, actor, namespace, seed[:8], ip, resource, namespace, name, r.IntN(1<<30), at, at)
	sum := sha256.Sum256(raw)
	return audit.Event{
		ID: audit.ID(sum[:16]), Source: "bench", Cluster: "prod", AuditID: auditID, Level: "Metadata", Stage: audit.StageResponseComplete,
		OccurredAt: m.at, StageAt: m.at.Add(3 * time.Millisecond), Actor: actor, ActorKind: audit.ActorServiceAccount, CredentialID: fmt.Sprintf("JTI=%x", seed[:8]),
		Method: method, Verb: verb, ResourceType: "application", Action: "application." + verb,
		APIGroup: "apps", APIVersion: "v1", Resource: resource, Namespace: namespace, ResourceName: name, Path: path, StatusCode: 200,
		Client: audit.ClientController, UserAgent: "controller-manager/v1.36.2 (linux/amd64) kubernetes/9f3b2c1/controller",
		IPs: []netip.Addr{ip}, Raw: raw, RawSHA256: sum,
	}
}

// BenchmarkAppend appends batches of 400 from one writer and from eight.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8} {
		b.Run(fmt.Sprint("writers=", writers), func(b *testing.B) {
			dir := b.TempDir()
			s := mustOpen(b, Options{Dir: dir})
			m := newMaker(1)
			batches := make([]store.Batch, b.N)
			var raw int
			for i := range batches {
				batches[i] = m.batch(400)
				raw += len(batches[i].Events[0].Raw)
			}
			var next atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						got, err := s.Append(b.Context(), batches[i])
						if err != nil || got.Stored != 400 {
							b.Errorf("Append = %+v, %v", got, err)
						}
					}
				})
			}
			group.Wait()
			b.StopTimer()
			events := float64(400 * b.N)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(raw)/float64(b.N), "rawB/event")
			if err := s.Close(); err != nil { // folds the log into the file
				b.Fatal(err)
			}
			b.ReportMetric(float64(treeSize(b, dir))/events, "B/event")
		})
	}
}

func treeSize(t testing.TB, dir string) int64 {
	t.Helper()
	var size int64
	if err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return size
}
