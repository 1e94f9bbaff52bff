package dashboard_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

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
			Raw: fmt.Appendf(nil, `{"kind":"Event","n":%d}`, i),
		}
		if i%9 == 0 {
			e.ActedVia = "system:serviceaccount:porter:dashboard"
		}
		e.Path = "/apis/apps/v1/namespaces/" + e.Namespace + "/" + e.Resource + "/" + e.ResourceName
		e.StageAt = e.OccurredAt
		e.RawSHA256 = sha256.Sum256(e.Raw)
		binary.BigEndian.PutUint64(e.ID[:], random.Uint64())
		batch.Events = append(batch.Events, e)
	}
	if _, err := s.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return s
}

// The list in both themes and several widths, and with each menu open.
func TestListLooks(t *testing.T) {
	h := world.Handler(t, busyStore(t, 20000), false)
	tab := browsertest.Serve(t, h, browsertest.Look{})
	tab.SignIn(world.Tokens[everywhere], "/security/audit-logs?method_exclude=GET&actor=alice%40example.com&actor=bob%40example.com")
	for _, look := range []browsertest.Look{
		{Width: browsertest.Phone}, {Width: browsertest.Phone, Theme: browsertest.Dark}, {Width: browsertest.Tablet},
		{Theme: browsertest.Dark}, {Width: 2560}, {},
	} {
		tab.As(look)
		tab.Axe("list")
	}
	for width, menus := range map[int][]string{browsertest.Phone: {"actor", "more"}, browsertest.Laptop: {"time", "resource_type", "actor", "ip", "status_code", "more"}} {
		tab.As(browsertest.Look{Width: width})
		tab.Reload()
		for _, name := range menus {
			tab.Click("#m-" + name + " > summary")
			if name != "time" && name != "more" {
				tab.Await("values of "+name, `!!document.querySelector("#v-`+name+` .n")`)
			}
			tab.Axe("menu-" + name)
			tab.Keys(kb.Escape)
			tab.Hidden("#m-" + name + " .panel")
		}
	}
}
