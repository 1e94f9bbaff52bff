// Package demo shows the operator's main job on a real API server, and checks
// the answers against what the API server itself wrote down.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

type demo struct {
	cluster *cluster.Cluster
	out     io.Writer
	began   time.Time
	steps   int

	api   client.Client
	logs  logs
	token string // of someone who may read every event
	cast  *cast
	deeds []deed

	downloads int // of snapshots; the operator records each
}

// Options say what is shown.
type Options struct {
	// Once checks more and returns, instead of waiting for the context's end.
	Once bool
	// Postgres has the operator run in two replicas over a PostgreSQL server.
	Postgres bool
}

// Run shows everything. The environment is one of its own and is gone
// afterwards, but for the logs of a failure.
func Run(ctx context.Context, root string, opts Options, out io.Writer) (failed error) {
	dir, err := os.MkdirTemp("", "audit-operator-demo-")
	if err != nil {
		return err
	}
	c, err := cluster.Open(root, dir, out)
	if err != nil {
		return err
	}
	defer c.Close()
	if opts.Postgres {
		server, err := postgrestest.Run(ctx, postgrestest.Options{})
		if err != nil {
			return err
		}
		defer func() { failed = errors.Join(failed, server.End()) }()
		if err := c.UsePostgres(server.URL()); err != nil {
			return err
		}
	}
	d := &demo{cluster: c, out: out, began: time.Now()}
	err = d.run(ctx, opts.Once)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(out, "\nThe demo failed. Its logs and data stay in %s.\n", dir)
		return errors.Join(err, c.Stop())
	}
	fmt.Fprintln(out)
	if down := c.Down(); down != nil {
		return down
	}
	if err != nil {
		return errors.New("interrupted; everything is stopped and removed")
	}
	return nil
}

func (d *demo) run(ctx context.Context, once bool) error {
	d.step("Start etcd, kube-apiserver, an aggregated API server and the operator, and have both send it their audit events")
	if err := d.cluster.Up(ctx); err != nil {
		return err
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	if replicas := d.cluster.Replicas(); replicas > 1 {
		d.say("over PostgreSQL, in %d replicas: kube-apiserver sends to one, sample-apiserver to another", replicas)
	}
	d.step("Let people work")
	if err := d.act(ctx); err != nil {
		return err
	}
	d.step("Wait until the operator has stored what the API servers wrote")
	if err := d.createEveryEvent(ctx); err != nil {
		return err
	}
	_, all, err := d.settle(ctx)
	if err != nil {
		return err
	}
	if err := d.checkDeeds(all); err != nil {
		return err
	}
	d.say("all %d things that were done are among %d stored events", len(d.deeds), len(all.records))

	d.step("Send a request through two API servers")
	if err := d.passThrough(ctx); err != nil {
		return err
	}
	d.step("Ask: kubectl apply -k config/samples")
	queries, answers, err := d.applySamples(ctx)
	if err != nil {
		return err
	}
	if err := d.show(ctx); err != nil {
		return err
	}
	d.step("Compare the answers with the API servers' own audit logs")
	log, all, err := d.settle(ctx)
	if err != nil {
		return err
	}
	if err := d.checkCounts(queries, answers, log, all); err != nil {
		return err
	}
	if err := d.checkIDs(log, all); err != nil {
		return err
	}
	if once {
		return d.restart(ctx)
	}
	return d.wait(ctx)
}

// connect prepares what the demo itself needs.
func (d *demo) connect(ctx context.Context) error {
	var err error
	if d.api, err = d.cluster.Client(); err != nil {
		return err
	}
	token, err := d.cluster.Kubectl(ctx, "create", "token", cluster.AuditorName, "-n", cluster.AuditorNamespace)
	if err != nil {
		return err
	}
	d.token = strings.TrimSpace(token)
	d.logs, err = newLogs(d.cluster)
	return err
}

func (d *demo) act(ctx context.Context) error {
	manifest := filepath.Join(d.cluster.Dir(), "people.yaml")
	if err := os.WriteFile(manifest, people, 0o600); err != nil {
		return err
	}
	for _, file := range []string{"config/samples/namespaces.yaml", manifest} {
		if _, err := d.cluster.Kubectl(ctx, "apply", "--server-side", "-f", file); err != nil {
			return err
		}
	}
	var err error
	if d.cast, err = d.newCast(ctx); err != nil {
		return err
	}
	d.deeds = deeds(d.cast)
	for _, deed := range d.deeds {
		if err := deed.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", deed.text, err)
		}
		d.say("%d  %s", deed.trace.StatusCode, deed.text)
	}
	return nil
}

func (d *demo) applySamples(ctx context.Context) ([]v1alpha1.Query, map[string]*answer, error) {
	if _, err := d.cluster.Kubectl(ctx, "apply", "--server-side", "-k", "config/samples"); err != nil {
		return nil, nil, err
	}
	var queries []v1alpha1.Query
	err := poll(ctx, time.Minute, func(ctx context.Context) (err error) {
		if queries, err = d.queries(ctx); err != nil {
			return err
		}
		for _, q := range queries {
			err = errors.Join(err, ready(q))
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	answers := map[string]*answer{}
	for _, q := range queries {
		if answers[nameOf(q)], err = d.download(ctx, q); err != nil {
			return nil, nil, err
		}
	}
	return queries, answers, nil
}

// show prints what a user of kubectl sees.
func (d *demo) show(ctx context.Context) error {
	for _, args := range [][]string{
		{"get", "calq,alq", "-A", "-o", "wide"},
		{"get", "alq", "refused-secrets", "-n", "billing", "-o", "yaml"},
	} {
		printed, err := d.cluster.Kubectl(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "\n$ kubectl %s\n%s", strings.Join(args, " "), printed)
	}
	return nil
}

// restart ends the API servers, so that their logs are final, and looks whether
// all of them is stored.
func (d *demo) restart(ctx context.Context) error {
	d.step("Stop the API servers, start them again, and compare event by event")
	if err := d.stopAPIServers(); err != nil {
		return err
	}
	final, err := d.logs.read()
	if err != nil {
		return err
	}
	n := len(final)
	maps.DeleteFunc(final, func(_ string, e *audit.Event) bool { return d.logs.unsent(e) })
	d.say("their logs end with %d events; %d of them are ends of watches, which are logged after the webhook is closed,",
		n, n-len(final))
	d.say("never sent, and left out from here on")
	if err := d.cluster.StartAPIServers(ctx); err != nil {
		return err
	}
	log, all, err := d.settle(ctx)
	if err != nil {
		return err
	}
	if err := compare(final, all); err != nil {
		return err
	}
	return d.checkIDs(log, all)
}

func (d *demo) stopAPIServers() error {
	d.logs.stopped.from = time.Now()
	err := d.cluster.StopAPIServers()
	d.logs.stopped.to = time.Now()
	return err
}

func (d *demo) wait(ctx context.Context) error {
	d.step("Look at it yourself; Ctrl-C ends and removes everything")
	fmt.Fprintf(d.out, `
  export PATH=%s:$PATH KUBECONFIG=%s
  kubectl create token %s -n %s --duration=8h   # to sign in with
  %s
`, d.cluster.KubectlPath(), d.cluster.Kubeconfig(), cluster.AuditorName, cluster.AuditorNamespace, d.shareURL(ctx))
	<-ctx.Done()
	return nil
}

// shareURL is that of the sample that the README shows.
func (d *demo) shareURL(ctx context.Context) string {
	var q v1alpha1.ClusterAuditLogQuery
	if err := d.api.Get(ctx, client.ObjectKey{Name: "cluster-changes"}, &q); err != nil || q.Status.ShareURL == "" {
		return d.cluster.DashboardURL()
	}
	return q.Status.ShareURL
}

func (d *demo) step(text string) {
	d.steps++
	fmt.Fprintf(d.out, "\n%d. %s (%.0f s)\n", d.steps, text, time.Since(d.began).Seconds())
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "     "+format+"\n", args...)
}

// poll tries until it succeeds or time is up; then it returns the last error.
func poll(ctx context.Context, atMost time.Duration, try func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(bounded)
		if err == nil {
			return nil
		}
		select {
		case <-bounded.Done():
			return err
		case <-tick.C:
		}
	}
}
