package demo

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
)

// A request that kube-apiserver passes on to an aggregated API server is in the
// log once for each, and each event's page links the other, for those who may
// see them.
func TestRequestThroughTwoAPIServers(t *testing.T) {
	d := upAndActive(t)
	for _, s := range cluster.APIServers {
		awaitConditions(t, d, s)
	}
	if err := d.passThrough(t.Context()); err != nil {
		t.Fatal(err)
	}

	log, all, err := d.settle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.checkIDs(log, all); err != nil {
		t.Error(err)
	}
	ends, err := flunderEnds(all)
	if err != nil {
		t.Fatal(err)
	}
	if passed, created := ends[0].ResourceName, ends[1].ResourceName; passed != "" || created != "passed-on" {
		t.Errorf("the created object is %q to kube-apiserver, which does not read it, and %q to sample-apiserver", passed, created)
	}
	shop, billing := reader(t, d, "shop"), reader(t, d, "billing")
	for i, end := range ends {
		other := ends[len(ends)-1-i]
		page, err := d.page(t.Context(), eventPath(end)+"?namespace=shop", shop)
		if err != nil || !strings.Contains(page, eventPath(other)+"?namespace=shop") {
			t.Errorf("the page of %s's event does not link %s's for a reader of shop: %v", end.Source, other.Source, err)
		}
		var status errStatus
		for _, namespace := range []string{"", "?namespace=billing", "?namespace=shop"} {
			page, err := d.page(t.Context(), eventPath(end)+namespace, billing)
			if !errors.As(err, &status) || int(status) != http.StatusNotFound {
				t.Errorf("a reader of billing gets the page of %s's event with %q: %v, %s", end.Source, namespace, err, page)
			}
		}
	}
	page, err := d.page(t.Context(), "/security/audit-logs?namespace=billing&search=flunders", billing)
	if err != nil || !strings.Contains(page, "No events match") {
		t.Errorf("a reader of billing finds flunders: %v, %s", err, page)
	}
}

// upAndActive brings everything up, and has people work.
func upAndActive(t *testing.T) *demo {
	t.Helper()
	log.SetLogger(logr.Discard()) // as in main.go
	c := open(t)
	d := &demo{cluster: c, out: t.Output(), began: time.Now()}
	for _, step := range []func() error{
		func() error { return c.Up(t.Context()) },
		func() error { return d.connect(t.Context()) },
		func() error { return d.act(t.Context()) },
		func() error { return d.createEveryEvent(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func open(t *testing.T) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Open(filepath.Join("..", "..", ".."), filepath.Join(t.TempDir(), "dev"), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Down(); err != nil {
			t.Error(err)
		}
		c.Close()
	})
	return c
}

// awaitConditions waits until an API server's source is Ready and Receiving.
func awaitConditions(t *testing.T, d *demo, s cluster.APIServer) {
	t.Helper()
	source := &v1alpha1.AuditSource{}
	err := poll(t.Context(), time.Minute, func(ctx context.Context) error {
		if err := d.api.Get(ctx, client.ObjectKey{Name: s.Source()}, source); err != nil {
			return err
		}
		for _, condition := range []string{v1alpha1.ReadyCondition, v1alpha1.ReceivingCondition} {
			if !meta.IsStatusConditionTrue(source.Status.Conditions, condition) {
				return errors.New(condition + " is not True")
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("the AuditSource %s: %v, its conditions are %+v", source.Name, err, source.Status.Conditions)
	}
}

// reader returns the token of someone who may read a namespace's events.
func reader(t *testing.T, d *demo, namespace string) string {
	t.Helper()
	for _, args := range [][]string{
		{"create", "serviceaccount", "reader", "-n", namespace},
		{"create", "rolebinding", "reader", "-n", namespace, "--clusterrole=auditlog-viewer", "--serviceaccount=" + namespace + ":reader"},
	} {
		if _, err := d.cluster.Kubectl(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	token, err := d.cluster.Kubectl(t.Context(), "create", "token", "reader", "-n", namespace)
	if err != nil {
		t.Fatal(err)
	}
	token = strings.TrimSpace(token)
	// A right takes effect when the API server has learnt of it.
	err = poll(t.Context(), time.Minute, func(ctx context.Context) error {
		_, err := d.page(ctx, "/security/audit-logs?namespace="+namespace, token)
		return err
	})
	if err != nil {
		t.Fatalf("the reader of %s: %v", namespace, err)
	}
	return token
}
