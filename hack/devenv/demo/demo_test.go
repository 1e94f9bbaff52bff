package demo

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/snapshot"
)

const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Request, verbs: [delete, deletecollection]}, {level: Metadata}]
`

const webhook = `apiVersion: v1
kind: Config
clusters: [{name: receiver, cluster: {server: %q}}]
contexts: [{name: receiver, context: {cluster: receiver}}]
current-context: receiver
`

// What is done must leave the traces that the demo looks for, in the log and
// in what the API server sends until it has ended.
func TestDeedsLeaveTheirTraces(t *testing.T) {
	c := open(t)
	log, err := newLogReader(c, cluster.KubeAPIServer)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	sent := map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		err := log.decoder.Decode(r.Body, func(item audit.Item) error {
			if item.Event == nil {
				return fmt.Errorf("what was sent is no event: %+v", item.Quarantined)
			}
			sent[traceOf(item.Event)] = true
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}))
	defer receiver.Close()
	files := c.AuditFiles(cluster.KubeAPIServer)
	write(t, filepath.Join(files, "policy.yaml"), policy)
	write(t, filepath.Join(files, "kubeconfig"), fmt.Sprintf(webhook, receiver.URL))
	write(t, filepath.Join(files, "ca.crt"), "")
	if err := c.UpControlPlane(t.Context()); err != nil {
		t.Fatal(err)
	}

	d := &demo{cluster: c, out: t.Output(), logs: logs{readers: []logReader{log}}}
	if err := d.act(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.stopAPIServers(); err != nil {
		t.Fatal(err)
	}
	written, err := d.logs.read()
	if err != nil {
		t.Fatal(err)
	}

	all := &answer{records: map[string]snapshot.Record{}}
	for id, e := range written {
		all.records[id] = snapshot.Record{
			ID: id, Actor: e.Actor, ActedVia: e.ActedVia, Action: e.Action, Namespace: e.Namespace,
			ResourceName: e.ResourceName, StatusCode: e.StatusCode, DryRun: e.DryRun,
		}
	}
	if err := d.checkDeeds(all); err != nil {
		t.Error(err)
	}
	for name, selected := range selects {
		n := 0
		for _, e := range written {
			if selected(e) {
				n++
			}
		}
		if n == 0 {
			t.Errorf("nothing that was done is for the sample %s", name)
		}
	}

	mu.Lock()
	defer mu.Unlock()
	for id, e := range written {
		if !sent[id] && !d.logs.unsent(e) {
			t.Errorf("written but not sent: %s %s %s %s by %q at %v", id, e.Stage, e.Verb, e.Path, e.Actor, e.StageAt)
		}
	}
	for id := range sent {
		if written[id] == nil {
			t.Errorf("sent but not written: %s", id)
		}
	}
	t.Logf("written %d, sent %d", len(written), len(sent))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
