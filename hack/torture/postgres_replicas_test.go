package torture

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit/audittest"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// replicas are two managers over one database, behind a service.
type replicas struct {
	*world
	storage  storage
	service  *service
	managers [2]*manager
}

func startReplicas(t *testing.T, d storage) *replicas {
	t.Helper()
	r := &replicas{world: inWorld(t), storage: d, service: newService(t)}
	for i := range r.managers {
		at, err := freePorts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.managers[i] = r.mustStartAt(t, at, d)
		r.service.admit(t, r.managers[i])
	}
	return r
}

// replace starts a manager in the place of one that has ended.
func (r *replicas) replace(t *testing.T, i int) {
	t.Helper()
	checkSecrecy(t, r.managers[i])
	r.managers[i] = r.mustStartAt(t, r.managers[i].ports, r.storage)
	r.service.admit(t, r.managers[i])
}

// newSender returns one that delivers by the service.
func (r *replicas) newSender(seed uint64) *sender {
	s := newSender(r.world, "honest", seed)
	s.url = s.source.urlAt(r.service.ingest.Addr().String())
	return s
}

// TestPostgresManagerKill kills one of two managers over a database. The other
// goes on: what the dead one was at holds it up no longer than the database
// takes to notice.
func TestPostgresManagerKill(t *testing.T) {
	row := scenario(t, "PostgreSQL: kill -9 of one of two managers")
	chance := rand.New(rand.NewPCG(208, 0))
	eachStore(t, rounds(t, 4), func(t *testing.T, rounds int) {
		_, d := startPostgres(t, postgrestest.Options{})
		r := startReplicas(t, d)
		s := r.newSender(chance.Uint64())
		stop := s.start(t)
		defer stop()
		for range rounds {
			s.restart()
			row.before(t, s.loadFor(t, moment(chance)))
			i := chance.IntN(len(r.managers))
			if err := r.managers[i].kill(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			r.service.retire(r.managers[i])
			_, acked := s.counts()
			awaitOf(t, r.managers[1-i], "the other takes deliveries", func() bool { _, now := s.counts(); return now > acked+connections*batchItems })
			row.back = max(row.back, time.Since(began))
			r.replace(t, i)
			row.rounds++
		}
		stop()
		row.settle(t, s, newLedger(t, d))
	})
}

// settle compares what a sender has sent, which is the end of a round.
func (r *row) settle(t *testing.T, s *sender, l *ledger) {
	t.Helper()
	if len(s.wrong) > 0 {
		t.Errorf("answers that are neither 2xx nor %d with Retry-After: %q", http.StatusServiceUnavailable, s.wrong)
	}
	l.note(t, s.source.name, s.settled())
	v := l.compare(t)
	t.Log(v)
	r.rounds--
	r.round(t, l, v)
}

// TestPostgresSameBatch gives each batch to two managers at once, and again to
// one that has started since.
func TestPostgresSameBatch(t *testing.T) {
	_, d := startPostgres(t, postgrestest.Options{})
	row := scenario(t, "PostgreSQL: each batch to two managers at once")
	r := startReplicas(t, d)
	l, honest := newLedger(t, d), r.sources["honest"]
	events := audittest.New(audittest.Options{Seed: 209, Start: time.Now().Add(-10 * time.Minute)})
	const batches = 60
	var bodies [][]byte
	for range batches {
		bodies = append(bodies, events.Batch(batchItems))
	}
	var both sync.WaitGroup
	for _, m := range r.managers {
		both.Go(func() { honest.deliverTo(t, m.ports.ingest, bodies) })
	}
	both.Wait()
	if err := r.managers[0].kill(); err != nil {
		t.Fatal(err)
	}
	r.replace(t, 0)
	l.note(t, "honest", honest.deliverTo(t, r.managers[0].ports.ingest, bodies))
	row.round(t, l, l.compare(t))
	const n = batches * batchItems
	if got, want := l.stats(t, "honest"), (store.SourceStats{Source: "honest", Received: 3 * n, Stored: n, Duplicate: 2 * n}); got != want {
		t.Errorf("the store counted %+v, want %+v", got, want)
	}
}

// TestPostgresRollingRestart restarts two managers one after the other, as a
// Deployment does, while events are delivered and pages are read: nobody who
// reads a page sees anything of it.
func TestPostgresRollingRestart(t *testing.T) {
	row := scenario(t, "PostgreSQL: rolling restart of two managers")
	var pages int64
	var putOff, silent int
	var slowest time.Duration
	const signedIn = 3
	eachStore(t, rounds(t, 2), func(t *testing.T, rounds int) {
		_, d := startPostgres(t, postgrestest.Options{})
		r := startReplicas(t, d)
		s := r.newSender(uint64(210 + pages))
		stop := s.start(t)
		defer stop()
		readers := r.startReaders(t, signedIn)
		for range rounds {
			s.restart()
			row.before(t, s.loadFor(t, time.Second))
			for i := range r.managers {
				slowest = max(slowest, r.endAsPod(t, i))
				r.replace(t, i)
			}
			row.rounds++
		}
		pages += readers.stop(t)
		stop()
		putOff, silent = putOff+s.refused, silent+len(s.silent)
		l := newLedger(t, d)
		l.logIns = signedIn
		row.settle(t, s, l)
	})
	if pages < 20 {
		t.Errorf("void: %d pages were read", pages)
	}
	row.note = fmt.Sprintf("%d pages, none failed; %d deliveries put off, %d without an answer; ended within %v",
		pages, putOff, silent, slowest.Round(time.Millisecond))
	t.Log(row.note)
}

// endAsPod ends a manager as a node does: the service is told as the Pod waits
// in its preStop hook, whose end is the manager's SIGTERM.
func (r *replicas) endAsPod(t *testing.T, i int) (took time.Duration) {
	t.Helper()
	pause(t.Context(), settles)
	r.service.retire(r.managers[i])
	pause(t.Context(), settles)
	code, took, err := r.managers[i].terminate(30 * time.Second)
	if err != nil || code != 0 {
		t.Errorf("it ended with code %d, %v\n%s", code, err, r.managers[i].tail())
	}
	return took
}

// readers are people who read pages.
type readers struct {
	cancel context.CancelFunc
	ended  sync.WaitGroup
	pages  atomic.Int64
	failed chan string
}

// startReaders has people log in, and read pages until they are stopped.
func (r *replicas) startReaders(t *testing.T, n int) *readers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	all := &readers{cancel: cancel, failed: make(chan string, 1000)}
	base := "http://" + r.service.dashboard.Addr().String()
	token := r.tokenOf(t, "reader", "auditlog-viewer")
	for i := range n {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		// Some keep their connection, as browsers do; others come anew each time.
		client := &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: i == 0}}
		if err := fetch(ctx, client, base+"/login", url.Values{"token": {token}}); err != nil {
			t.Fatal(err)
		}
		all.ended.Go(func() {
			defer client.CloseIdleConnections()
			for pause(ctx, 150*time.Millisecond) {
				if err := fetch(context.WithoutCancel(ctx), client, base+"/security/audit-logs?range=last_hour", nil); err != nil {
					all.failed <- err.Error()
				}
				all.pages.Add(1)
			}
		})
	}
	t.Cleanup(func() { all.cancel(); all.ended.Wait() })
	return all
}

// stop returns how many pages were read. None may have failed.
func (r *readers) stop(t *testing.T) int64 {
	t.Helper()
	r.cancel()
	r.ended.Wait()
	close(r.failed)
	for failure := range r.failed {
		t.Errorf("a page failed: %s", failure)
	}
	return r.pages.Load()
}

// fetch reads a page, or sends a form and reads the page that it leads to. The
// page must be that of the audit logs.
func fetch(ctx context.Context, client *http.Client, address string, form url.Values) error {
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/html")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || response.Request.URL.Path != "/security/audit-logs" || !strings.Contains(string(page), "</html>") {
		return fmt.Errorf("%s of %s: %s", response.Request.URL.Path, response.Status, page[:min(len(page), 500)])
	}
	return nil
}

// tokenOf is that of a service account which has a role in the whole cluster.
func (w *world) tokenOf(t *testing.T, name, role string) string {
	t.Helper()
	for _, step := range [][]string{
		{"create", "serviceaccount", name, "-n", "default"},
		{"create", "clusterrolebinding", name, "--clusterrole=" + role, "--serviceaccount=default:" + name},
	} {
		if output, err := w.cluster.Kubectl(t.Context(), step...); err != nil && !strings.Contains(output+err.Error(), "already exists") {
			t.Fatal(err)
		}
	}
	token, err := w.cluster.Kubectl(t.Context(), "create", "token", name, "-n", "default")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(token)
}
