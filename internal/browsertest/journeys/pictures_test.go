package journeys

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/browsertest"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"
	"github.com/porter-dev/audit-operator/internal/webtest"
)

var pictures = flag.String("pictures", "", "where TestPictures keeps what it makes; empty is nowhere")

// mostPicture is how many bytes a picture of the README has at most.
const mostPicture = 250 << 10

// The pictures of the README can be made, of a week that is like one, and are
// small. make pictures keeps them.
func TestPictures(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	shown := fillBelievably(t, s)
	dir := *pictures
	if dir == "" {
		dir = t.TempDir()
	}
	tab := at(t, s, webtest.Everywhere, entrance, browsertest.Look{Width: 1440})
	for name, p := range map[string]struct{ theme, address string }{
		"list-light":   {browsertest.Light, entrance},
		"list-dark":    {browsertest.Dark, entrance},
		"drawer-light": {browsertest.Light, list + "?namespace=shop&search=payments&event=" + shown},
		"drawer-dark":  {browsertest.Dark, list + "?namespace=shop&search=payments&event=" + shown},
	} {
		tab.As(browsertest.Look{Width: 1440, Theme: p.theme})
		tab.Go(p.address)
		tab.Await("rows, and all that moves to stand still", `document.querySelectorAll("#rows > tr").length > 3 && !!document.querySelector("#chart").dataset.ready && document.getAnimations().every(a => a.playState != "running")`)
		picture := fewColours(t, tab.Picture(false))
		if len(picture) > mostPicture {
			t.Errorf("%s has %d bytes", name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fewColours encodes a picture anew with the 256 colours that it has most of,
// which is what makes PNGs of pages small.
func fewColours(t *testing.T, encoded []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.RGBA]int{}
	box := full.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b, _ := full.At(x, y).RGBA()
			counts[color.RGBA{byte(r >> 8), byte(g >> 8), byte(b >> 8), 255}]++
		}
	}
	var palette color.Palette
	for c := range counts {
		palette = append(palette, c)
	}
	slices.SortFunc(palette, func(a, b color.Color) int {
		return counts[b.(color.RGBA)] - counts[a.(color.RGBA)]
	})
	few := image.NewPaletted(box, palette[:min(256, len(palette))])
	draw.Draw(few, box, full, box.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// doing is something that happens in a cluster: who asks for what, and how
// often it is so.
type doing struct {
	often                    int
	who, from, with          string
	verb, path, resource, ns string
	code                     int
}

const (
	kubectl = "kubectl/v1.37.2 (linux/amd64) kubernetes/0000000"
	argocd  = "argocd-application-controller/v3.2.0"
)

var doings = []doing{
	{9, "system:serviceaccount:argocd:argocd-application-controller", "10.0.3.17", argocd, "patch", "/apis/apps/v1/namespaces/shop/deployments/checkout", "apps/deployments/checkout", "shop", 200},
	{7, "system:serviceaccount:argocd:argocd-application-controller", "10.0.3.17", argocd, "patch", "/apis/apps/v1/namespaces/billing/deployments/invoices", "apps/deployments/invoices", "billing", 200},
	{4, "system:serviceaccount:argocd:argocd-application-controller", "10.0.3.17", argocd, "update", "/api/v1/namespaces/shop/configmaps/storefront", "/configmaps/storefront", "shop", 409},
	{8, "system:serviceaccount:ci:deployer", "10.0.5.40", "helm/v4.0.1", "create", "/apis/batch/v1/namespaces/shop/jobs", "batch/jobs/migrate-orders", "shop", 201},
	{5, "system:serviceaccount:ci:deployer", "10.0.5.40", "helm/v4.0.1", "create", "/api/v1/namespaces/shop/secrets", "/secrets/sh.helm.release.v1.shop.v42", "shop", 201},
	{6, "system:serviceaccount:external-secrets:external-secrets", "10.0.2.9", "external-secrets/v1.1.0", "update", "/api/v1/namespaces/shop/secrets/payments-db", "/secrets/payments-db", "shop", 200},
	{6, "system:serviceaccount:cnpg-system:cnpg-manager", "10.0.4.22", "manager/v1.28.0", "patch", "/apis/postgresql.cnpg.io/v1/namespaces/shop/clusters/orders/status", "postgresql.cnpg.io/clusters/orders/status", "shop", 200},
	{4, "alice@example.com", "192.0.2.41", kubectl, "patch", "/apis/apps/v1/namespaces/shop/deployments/checkout/scale", "apps/deployments/checkout/scale", "shop", 200},
	{3, "alice@example.com", "192.0.2.41", kubectl, "update", "/api/v1/namespaces/shop/configmaps/payments", "/configmaps/payments", "shop", 200},
	{3, "bob@example.com", "192.0.2.77", kubectl, "create", "/api/v1/namespaces/shop/pods/payments-7d9c8b6f5-x2k4q/exec?command=sh&stdin=true&tty=true", "/pods/payments-7d9c8b6f5-x2k4q/exec", "shop", 101},
	{3, "bob@example.com", "192.0.2.77", kubectl, "delete", "/api/v1/namespaces/billing/pods/invoices-5f6d7c9b8-lm2zt", "/pods/invoices-5f6d7c9b8-lm2zt", "billing", 200},
	{2, "carol@example.com", "198.51.100.8", "k9s/v0.51.0", "delete", "/api/v1/namespaces/shop/secrets/payments-db", "/secrets/payments-db", "shop", 403},
	{2, "carol@example.com", "198.51.100.8", kubectl, "create", "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", "rbac.authorization.k8s.io/rolebindings/developers", "shop", 201},
	{1, "carol@example.com", "198.51.100.8", kubectl, "patch", "/apis/apps/v1/namespaces/kube-system/daemonsets/node-exporter", "apps/daemonsets/node-exporter", "kube-system", 504},
	{5, "system:node:worker-3", "10.0.0.13", "kubelet/v1.37.2", "patch", "/api/v1/nodes/worker-3/status?timeout=10s", "/nodes/worker-3/status", "", 200},
	{14, "system:serviceaccount:monitoring:prometheus", "10.0.6.5", "Prometheus/3.8.0", "list", "/api/v1/pods?limit=500", "/pods", "", 200},
	{5, "alice@example.com", "192.0.2.41", kubectl, "get", "/apis/apps/v1/namespaces/shop/deployments/checkout", "apps/deployments/checkout", "shop", 200},
}

// fillBelievably stores a week of such doings as if the collector had, most of
// them by day, and returns the ID of one that is worth a look.
func fillBelievably(t *testing.T, s *embedded.Store) string {
	t.Helper()
	random := rand.New(rand.NewPCG(4, 2))
	var often []doing
	for _, d := range doings {
		for range d.often {
			often = append(often, d)
		}
	}
	now := time.Now().UTC()
	var items []string
	add := func(d doing, at time.Time) {
		group, rest, _ := strings.Cut(d.resource, "/")
		parts := append(strings.Split(rest, "/"), "", "")
		items = append(items, fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"%08x-%04x-4%03x-a%03x-%012x","stage":"ResponseComplete","requestURI":%q,"verb":%q,`+
			`"user":{"username":%q,"groups":["system:authenticated"]},"sourceIPs":[%q],"userAgent":%q,"objectRef":{"resource":%q,"namespace":%q,"name":%q,"apiGroup":%q,"apiVersion":"v1","subresource":%q},`+
			`"responseStatus":{"metadata":{},"code":%d},"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{"authorization.k8s.io/decision":%q,"authorization.k8s.io/reason":""}}`,
			random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Int64N(1<<48), d.path, d.verb, d.who, d.from, d.with, parts[0], d.ns, parts[1], group, parts[2],
			d.code, at.Format("2006-01-02T15:04:05.000000Z"), at.Add(8*time.Millisecond).Format("2006-01-02T15:04:05.000000Z"), map[bool]string{true: "forbid", false: "allow"}[d.code == 403]))
	}
	for age := time.Duration(0); age < sevenDays; {
		busy := 1.0
		if h := now.Add(-age).Hour(); h >= 8 && h < 18 {
			busy = 6
		}
		if age > 50*time.Hour && age < 53*time.Hour {
			busy = 14 // a release
		}
		age += time.Duration(random.ExpFloat64() / busy * float64(12*time.Minute))
		add(often[random.IntN(len(often))], now.Add(-age-20*time.Second).Truncate(time.Microsecond))
	}
	refused := doings[slices.IndexFunc(doings, func(d doing) bool { return d.code == 403 })]
	add(refused, now.Add(-11*time.Minute).Truncate(time.Microsecond))

	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), "")
	if err != nil {
		t.Fatal(err)
	}
	decoder := audit.Decoder{Source: "control-plane-1", Cluster: webtest.OwnCluster, Classifier: classifier}
	var events []audit.Event
	list := `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + strings.Join(items, ",") + "]}"
	if err := decoder.Decode(strings.NewReader(list), func(item audit.Item) error {
		if item.Event == nil {
			return fmt.Errorf("not an event: %s", item.Quarantined.Reason)
		}
		e := *item.Event
		e.IngestedAt = e.StageAt.Add(700 * time.Millisecond)
		events = append(events, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Import(t.Context(), events); err != nil || n != len(events) {
		t.Fatalf("%d of %d events are stored: %v", n, len(events), err)
	}
	return events[len(events)-1].ID.String()
}
