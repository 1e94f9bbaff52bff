package dashboard_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Every user at every door. What a user may not see must look like what does
// not exist, in status and in text.
func TestTenancy(t *testing.T) {
	all := []string{"billing", "cluster", "foreign", "hostile", "shop-app", "shop-env", "shop-project"}
	shop := []string{"shop-app", "shop-env", "shop-project"}
	event := func(key string) string { return "/security/audit-logs/events/" + world.Events[key].ID.String() }
	snapshotOf := func(namespace string) string { return "/security/snapshots/" + world.Snapshots[namespace].ID }
	tests := []struct {
		user, path string
		status     int
		keys       []string
	}{
		{everywhere, "/security/audit-logs", 200, all},
		{everywhere, "/security/audit-logs?namespace=shop", 200, append([]string{"foreign"}, shop...)},
		{everywhere, "/security/audit-logs?namespace=-", 200, []string{"cluster"}},
		{everywhere, event("billing"), 200, []string{"billing"}},
		{everywhere, event("foreign"), 200, []string{"foreign"}},
		{everywhere, snapshotOf(""), 200, nil},
		{everywhere, snapshotOf("shop"), 200, nil},

		{inShop, "/security/audit-logs", 200, shop},
		{inShop, "/security/audit-logs?namespace=shop", 200, shop},
		{inShop, "/security/audit-logs?namespace=shop&cluster=elsewhere", 200, nil},
		{inShop, "/security/audit-logs?namespace=billing", 403, nil},
		{inShop, "/security/audit-logs?namespace=shop&namespace=billing", 403, nil},
		{inShop, "/security/audit-logs?namespace=-", 403, nil},
		{inShop, "/security/audit-logs?namespace_exclude=billing", 200, shop},
		{inShop, event("shop-app"), 200, []string{"shop-app"}},
		{inShop, event("shop-app") + "?namespace=shop", 200, []string{"shop-app"}},
		{inShop, event("billing") + "?namespace=shop", 404, nil},
		{inShop, event("billing") + "?namespace=billing", 404, nil},
		{inShop, event("foreign") + "?namespace=shop", 404, nil},
		{inShop, event("cluster") + "?namespace=shop", 404, nil},
		{inShop, event("cluster") + "?namespace=-", 404, nil},
		{inShop, snapshotOf("shop") + "?namespace=shop", 200, nil},
		{inShop, snapshotOf("shop"), 200, nil},
		{inShop, snapshotOf("billing") + "?namespace=shop", 404, nil},
		{inShop, snapshotOf("") + "?namespace=shop", 404, nil},
		{inShop, snapshotOf("") + "/ndjson?namespace=shop", 404, nil},

		{nobody, "/security/audit-logs", 403, nil},
		{nobody, "/security/audit-logs?namespace=shop", 403, nil},
		{nobody, event("shop-app") + "?namespace=shop", 404, nil},
		{nobody, snapshotOf("shop") + "?namespace=shop", 404, nil},
		{nobody, snapshotOf("shop") + "/ndjson?namespace=shop", 404, nil},
	}
	browsers := map[string]*webtest.Browser{}
	for _, user := range []string{everywhere, inShop, nobody} {
		browsers[user] = world.As(t, user)
	}
	absent := map[string]string{}
	for user, b := range browsers {
		absent[user] = b.Get(t, "/security/audit-logs/events/"+strings.Repeat("0", 32)+"?namespace=shop").Body
	}
	for _, tt := range tests {
		t.Run(tt.user+" "+tt.path, func(t *testing.T) {
			got := browsers[tt.user].Get(t, tt.path)
			if got.Status != tt.status {
				t.Fatalf("status %d, want %d", got.Status, tt.status)
			}
			if got.Status == http.StatusNotFound && got.Body != absent[tt.user] {
				t.Errorf("what is forbidden does not look like what is absent: %s", cmp.Diff(absent[tt.user], got.Body))
			}
			if strings.HasPrefix(tt.path, "/security/snapshots/") && got.Status == http.StatusOK {
				return // TestSnapshot looks at what it holds
			}
			keys := shown(got.Body)
			slices.Sort(keys)
			want := slices.Clone(tt.keys)
			slices.Sort(want)
			if diff := cmp.Diff(want, keys); diff != "" {
				t.Errorf("shows others than it may: %s", diff)
			}
			if tt.status == http.StatusForbidden && strings.Contains(got.Body, "match") {
				t.Error("a refusal tells a count")
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	b := world.As(t, inShop)
	m := world.Snapshots["shop"]
	path := "/security/snapshots/" + m.ID
	page := b.Get(t, path+"?namespace=shop")
	for _, want := range []string{m.Digest, m.ManifestDigest, "3 events matched", path + "/ndjson?namespace=shop", "NotMeasured"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	program := http.Header{"Accept": {"*/*"}}
	for name, got := range map[string]webtest.Answer{
		"the page's link":     b.Get(t, path+"/ndjson?namespace=shop"),
		"the status's url":    b.Do(t, http.MethodGet, path+"?namespace=shop", nil, program),
		"the link, by a curl": b.Do(t, http.MethodGet, path+"/ndjson?namespace=shop", nil, program),
	} {
		sum := sha256.Sum256([]byte(got.Body))
		if "sha256:"+hex.EncodeToString(sum[:]) != m.Digest {
			t.Errorf("%s: status %d, other bytes than the digest's", name, got.Status)
		}
		if strings.Count(got.Body, "\n") != 3 || strings.Contains(got.Body, "billing") || strings.Contains(got.Body, "elsewhere") {
			t.Errorf("%s: %s", name, got.Body)
		}
		if got.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: type %s", name, got.Header.Get("Content-Type"))
		}
	}
}
