package dashboard_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/embedded/embeddedtest"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

var sameLink = regexp.MustCompile(`<a href="([^"]+/events/[^"]+)"><time`)

// An event's page links what bears its audit ID, in order of time, as far as
// the reader may see it.
func TestEventLinksItsRequest(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	links, keys := map[string]string{}, map[string]string{}
	add := func(key, source, cluster, namespace, stage, auditID string, after time.Duration) {
		e := audit.Event{
			Source: source, Cluster: cluster, Stage: stage, AuditID: auditID, OccurredAt: at, StageAt: at.Add(after),
			Actor: "actor of " + key, Method: "POST", Namespace: namespace, StatusCode: 201, Raw: []byte("{}"),
		}
		_, _ = rand.Read(e.ID[:])
		if _, err := s.Append(t.Context(), store.Batch{Source: source, ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
			t.Fatal(err)
		}
		links[key] = "/security/audit-logs/events/" + e.ID.String()
		keys[links[key]] = key
	}
	const id = "0f0e0d0c-0b0a-4908-8706-050403020100"
	add("complete", "control-plane-1", webtest.OwnCluster, "shop", audit.StageResponseComplete, id, 4*time.Second)
	add("received", "control-plane-1", webtest.OwnCluster, "shop", audit.StageRequestReceived, id, 0)
	add("aggregated", "sample-apiserver", webtest.OwnCluster, "shop", audit.StageResponseComplete, id, 2*time.Second)
	add("billing", "control-plane-1", webtest.OwnCluster, "billing", audit.StageResponseComplete, id, 3*time.Second)
	add("foreign", "control-plane-2", "elsewhere", "shop", audit.StageResponseComplete, id, time.Second)
	add("alone", "control-plane-1", webtest.OwnCluster, "shop", audit.StageResponseComplete, "another", 0)
	add("unnamed", "control-plane-1", webtest.OwnCluster, "shop", audit.StageResponseComplete, "", 0)

	server := httptest.NewServer(world.Handler(t, s, false))
	defer server.Close()
	for _, tt := range []struct {
		user, of, namespace string
		want                []string
		says                string
	}{
		{everywhere, "complete", "", []string{"received", "foreign", "aggregated", "billing"}, "a hint, not a proof"},
		{everywhere, "aggregated", "", []string{"received", "foreign", "billing", "complete"}, "a hint, not a proof"},
		{inShop, "complete", "?namespace=shop", []string{"received", "aggregated"}, "a hint, not a proof"},
		{inShop, "alone", "?namespace=shop", nil, "none that you may see"},
		{everywhere, "unnamed", "", nil, "Event as received"},
	} {
		t.Run(tt.user+" "+tt.of, func(t *testing.T) {
			b := world.NewBrowser(t)
			b.Base = server.URL
			b.Login(t, world.Tokens[tt.user], "")
			page := b.Get(t, links[tt.of]+tt.namespace).Body
			var got []string
			for _, m := range sameLink.FindAllStringSubmatch(page, -1) {
				link, ok := strings.CutSuffix(m[1], tt.namespace)
				if !ok {
					t.Errorf("%s leaves the reader's namespace", m[1])
				}
				got = append(got, keys[link])
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("linked events (-want +got):\n%s", diff)
			}
			for _, key := range tt.want {
				if want := "actor of " + key; !strings.Contains(page, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			if !strings.Contains(page, tt.says) {
				t.Errorf("the page does not say %q", tt.says)
			}
			if tt.of == "unnamed" && strings.Contains(page, "Same audit ID") {
				t.Error("an event without an audit ID has a section for it")
			}
		})
	}

	for i := range store.MaxSameRequest {
		add(fmt.Sprint("borrowed", i), "control-plane-1", webtest.OwnCluster, "shop", audit.StageResponseComplete, id, time.Hour)
	}
	b := world.NewBrowser(t)
	b.Base = server.URL
	b.Login(t, world.Tokens[everywhere], "")
	page := b.Get(t, links["complete"]).Body
	if n := len(sameLink.FindAllString(page, -1)); n != store.MaxSameRequest || !strings.Contains(page, "There are more than these") {
		t.Errorf("of many events %d are linked, want %d, and that there are more", n, store.MaxSameRequest)
	}
}

// faulty is the store, with an error in front of what looks for an audit ID.
type faulty struct {
	dashboard.Store
	err error
}

func (f faulty) SameRequest(context.Context, query.Scope, *audit.Event) (store.SameRequest, error) {
	return store.SameRequest{}, f.err
}

// An event is shown, too, when what else bears its audit ID can't be read.
func TestEventWithoutItsRequest(t *testing.T) {
	s := embeddedtest.Open(t, embedded.Options{})
	e := audit.Event{
		Source: "s", Cluster: webtest.OwnCluster, Stage: audit.StageResponseComplete, AuditID: "0f0e0d0c-0b0a-4908-8706-050403020100",
		OccurredAt: time.Now(), StageAt: time.Now(), Actor: "alice", Method: "POST", Namespace: "shop", Raw: []byte(`{"whole":"event"}`),
	}
	_, _ = rand.Read(e.ID[:])
	if _, err := s.Append(t.Context(), store.Batch{Source: "s", ReceivedAt: time.Now(), Events: []audit.Event{e}}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"too slow":    context.DeadlineExceeded,
		"unavailable": store.ErrUnavailable,
		"any":         errors.New("the disk says hunter2"),
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(world.Handler(t, faulty{s, err}, false))
			defer server.Close()
			b := world.NewBrowser(t)
			b.Base = server.URL
			b.Login(t, world.Tokens[everywhere], "")
			got := b.Get(t, "/security/audit-logs/events/"+e.ID.String())
			if got.Status != http.StatusOK {
				t.Errorf("the page answers %d, want 200", got.Status)
			}
			for _, want := range []string{"alice", "whole", "The list is not available now"} {
				if !strings.Contains(got.Body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
			for _, unwanted := range []string{"hunter2", "none that you may see"} {
				if strings.Contains(got.Body, unwanted) {
					t.Errorf("the page says %q", unwanted)
				}
			}
		})
	}
}
