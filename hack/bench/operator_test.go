package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/store/embedded"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

var (
	events  = flag.Int("events", 200_000, "how many events the store holds")
	queries = flag.Int("queries", 1000, "how many queries one manager has")
)

// operator is a running one with all that it needs.
type operator struct {
	cluster *cluster.Cluster
	api     client.WithWatch
	token   string // of someone who may read every event
}

// BenchmarkOperator measures what its users wait for, and what it takes of the
// machine. Each part repeats as often as it needs: run it with -benchtime=1x.
func BenchmarkOperator(b *testing.B) {
	o := start(b)
	b.Run("idle", o.idle)
	b.Run("applyToReady", o.applyToReady)
	b.Run("requestToVisible", o.requestToVisible)
	b.Run("ingest", o.ingest)
	b.Run("ingestWithQueries", o.ingestWithQueries)
	b.Run("manyQueries", o.manyQueries)
	b.Run("restart", o.restart)
	b.Run("idleWithManyQueries", o.idle)
}

// start fills a store, then has an operator open it.
func start(b *testing.B) *operator {
	b.Helper()
	log.SetLogger(logr.Discard()) // the clients have nothing to add to the errors
	dir, err := os.MkdirTemp("", "audit-operator-bench-")
	if err != nil {
		b.Fatal(err)
	}
	c, err := cluster.Open(filepath.Join("..", ".."), dir, b.Output())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Down(); err != nil {
			b.Error(err)
		}
		c.Close()
	})
	if err := fill(b.Context(), c.OperatorData(), b.Logf); err != nil {
		b.Fatal(err)
	}
	if err := c.Up(b.Context()); err != nil {
		b.Fatal(err)
	}
	token, err := c.Kubectl(b.Context(), "create", "token", cluster.AuditorName, "-n", cluster.AuditorNamespace, "--duration=8h")
	if err != nil {
		b.Fatal(err)
	}
	api, err := c.Client()
	if err != nil {
		b.Fatal(err)
	}
	return &operator{cluster: c, api: api, token: strings.TrimSpace(token)}
}

func fill(ctx context.Context, dir string, logf func(string, ...any)) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s, err := embedded.Open(ctx, embedded.Options{Dir: dir})
	if err != nil {
		return err
	}
	began := time.Now()
	err = storetest.Fill(ctx, s, *events, time.Now(), func(stored int64) {
		if stored%1_000_000 < 4000 {
			logf("%d of %d events, %.0f/s", stored, *events, float64(stored)/time.Since(began).Seconds())
		}
	})
	return errors.Join(err, s.Close())
}

// idle is what it takes when nobody asks anything.
func (o *operator) idle(b *testing.B) {
	const span = 30 * time.Second
	before, err := o.usage()
	if err != nil {
		b.Fatal(err)
	}
	<-time.After(span)
	after, err := o.usage()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((after.cpu-before.cpu).Milliseconds())/span.Seconds(), "mCPU")
	o.reportMemory(b)
}

// requestToVisible is the time from a request on the API server to its row on
// the page. The API server waits up to a second for a batch to fill.
func (o *operator) requestToVisible(b *testing.B) {
	const requests = 50
	var took []time.Duration
	for i := range requests {
		name := fmt.Sprintf("visible-%d", i)
		began := time.Now()
		if err := o.api.Create(b.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}); err != nil {
			b.Fatal(err)
		}
		page := "/security/audit-logs?range=last_hour&resource_name=" + name
		if err := await(b.Context(), time.Minute, func(ctx context.Context) error {
			body, err := o.page(ctx, page)
			if err == nil && !strings.Contains(body, `<bdi class="name">`+name+`</bdi>`) {
				err = errors.New("the page has no row of it")
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	report(b, took)
}

// report reports the median, the 95th and the 99th percentile.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for _, p := range []int{50, 95, 99} {
		b.ReportMetric(float64(took[(len(took)-1)*p/100].Milliseconds()), fmt.Sprintf("p%d-ms", p))
	}
}

// await tries until it succeeds or time is up.
func await(ctx context.Context, atMost time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not after %v: %w", atMost, err)
		case <-tick.C:
		}
	}
}
