package torture

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store/postgres"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

const (
	// backWithin is how soon deliveries must be taken again after a fault.
	backWithin = 30 * time.Second
	// refusedWithin is how soon a delivery must have its answer: an API server
	// waits for 30 s.
	refusedWithin = 25 * time.Second
)

// startPostgres starts a server that keeps what it committed, with a store in it.
func startPostgres(t *testing.T, opts postgrestest.Options) (*postgrestest.Server, database) {
	t.Helper()
	opts.Durable = true
	server := postgrestest.Start(t, opts)
	if got := postgrestest.Query[string](t, server, "SELECT current_setting('fsync') || current_setting('full_page_writes')"); got != "onon" {
		t.Fatalf("fsync and full_page_writes are %s; this test needs both", got)
	}
	d := database{direct: server.Database(t)}
	d.mustMigrate(t)
	// The operator has a role of its own, with no more rights than it needs.
	const operator = "audit_operator"
	server.Exec(t, "CREATE ROLE "+operator+" LOGIN PASSWORD '"+strings.ReplaceAll(postgrestest.Password, "'", "''")+"'")
	if err := postgres.Grant(t.Context(), d.direct, postgres.Roles{Operator: operator}); err != nil {
		t.Fatal(err)
	}
	d.url = changed(t, d.direct, func(u *url.URL) { u.User = url.UserPassword(operator, postgrestest.Password) })
	return server, d
}

// throughHosts has managers reach the database at other addresses.
func (d database) throughHosts(t *testing.T, addresses ...string) database {
	t.Helper()
	d.url = changed(t, d.url, func(u *url.URL) { u.Host = strings.Join(addresses, ",") })
	return d
}

// at has the ledger read the same database on another server.
func (d database) at(t *testing.T, address string) database {
	t.Helper()
	d.direct = changed(t, d.direct, func(u *url.URL) { u.Host = address })
	return d
}

func changed(t *testing.T, from string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(from)
	if err != nil {
		t.Fatal("the database's URL is malformed") // the error would hold its password
	}
	change(u)
	return u.String()
}

func localAddress(s *postgrestest.Server) string {
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(s.Port()))
}

// eachStore runs rounds over young stores and old ones, each on a server of
// its own.
func eachStore(t *testing.T, rounds int, run func(t *testing.T, rounds int)) {
	t.Helper()
	for left := rounds; left > 0 && !t.Failed(); left -= roundsPerStore {
		t.Run(fmt.Sprintf("%d rounds left", left), func(t *testing.T) { run(t, min(left, roundsPerStore)) })
	}
}

// trial is a manager over a database under load.
type trial struct {
	*row
	manager *manager
	ledger  *ledger
	sender  *sender
	stop    func()
}

func newTrial(t *testing.T, r *row, seed uint64, d database, flags ...string) *trial {
	t.Helper()
	w := inWorld(t)
	x := &trial{row: r, ledger: newLedger(t, d), sender: newSender(w, "honest", seed)}
	x.manager = w.mustStart(t, d, flags...)
	x.stop = x.sender.start(t)
	t.Cleanup(x.stop)
	return x
}

// outage is what happens to the database while the manager goes on.
type outage struct {
	name       string
	begin, end func()
	// lasts is how long deliveries are refused before it ends. Of one that
	// lasts no time nobody need notice anything.
	lasts time.Duration
	// leaks means that a little may be committed while it lasts.
	leaks bool
	// meanwhile is looked at while it lasts, and afterwards when all is well.
	meanwhile, afterwards func()
}

// complaint is how the log says of a commit what is wrong with the server.
var complaint = regexp.MustCompile(`"msg":"A commit failed","error":"[^"]*PostgreSQL (at|does not listen)`)

// complaints returns how many there are.
func (m *manager) complaints() int {
	content, err := os.ReadFile(m.log)
	if err != nil {
		return -1
	}
	return len(complaint.FindAll(content, -1))
}

// through has the manager meet an outage. While it lasts nothing is
// acknowledged, and answers, probe and log say so; afterwards it goes on by
// itself.
func (x *trial) through(t *testing.T, o outage) {
	t.Helper()
	x.sender.restart()
	x.before(t, x.sender.loadFor(t, 500*time.Millisecond))
	said := x.manager.complaints()
	o.begin()
	if o.lasts > 0 {
		x.endure(t, o)
		if x.manager.complaints() == said {
			t.Errorf("%s: the log says nothing of it\n%s", o.name, x.manager.tail())
		}
	}
	o.end()
	x.recovers(t, o.name)
	if o.afterwards != nil {
		o.afterwards()
	}
	x.rounds++
}

// endure waits out an outage.
func (x *trial) endure(t *testing.T, o outage) {
	t.Helper()
	refused, _ := x.sender.counts()
	awaitOf(t, x.manager, o.name+": deliveries are refused", func() bool { now, _ := x.sender.counts(); return now >= refused+connections })
	awaitOf(t, x.manager, o.name+": not ready", func() bool { return errors.Is(x.manager.ready(t.Context()), errNotReady) })
	_, acked := x.sender.counts()
	pause(t.Context(), o.lasts)
	if o.meanwhile != nil {
		o.meanwhile()
	}
	if _, now := x.sender.counts(); now != acked && !o.leaks {
		t.Errorf("%s: %d events were acknowledged", o.name, now-acked)
	}
	if err := x.manager.ready(t.Context()); !errors.Is(err, errNotReady) {
		t.Errorf("%s: while it lasts the probe says %v", o.name, err)
	}
}

// recovers waits until deliveries are taken again, and keeps how long that took.
func (x *trial) recovers(t *testing.T, what string) {
	t.Helper()
	began := time.Now()
	_, acked := x.sender.counts()
	acked += connections * batchItems // what is answered late was taken before
	awaitOf(t, x.manager, what+": deliveries are taken again", func() bool { _, now := x.sender.counts(); return now > acked })
	taken := time.Since(began)
	awaitOf(t, x.manager, what+": ready again", func() bool { return x.manager.ready(t.Context()) == nil })
	ready := time.Since(began)
	t.Logf("%s: deliveries are taken after %v, ready after %v", what, taken.Round(time.Millisecond), ready.Round(time.Millisecond))
	if ready > backWithin {
		t.Errorf("%s: deliveries were taken after %v and it was ready after %v, want at most %v", what, taken, ready, backWithin)
	}
	x.back = max(x.back, taken)
}

// conclude ends the load and compares.
func (x *trial) conclude(t *testing.T) {
	t.Helper()
	x.stop()
	if len(x.sender.silent) > 0 {
		t.Errorf("deliveries without an answer: %q", x.sender.silent)
	}
	if x.sender.latest > refusedWithin {
		t.Errorf("a delivery was refused after %v, want at most %v", x.sender.latest, refusedWithin)
	}
	checkSecrecy(t, x.manager)
	if err := x.manager.kill(); err != nil {
		t.Fatal(err)
	}
	x.settle(t, x.sender, x.ledger)
}

// checkSecrecy looks for the password in a manager's log, as it is and as
// URLs write it.
func checkSecrecy(t *testing.T, m *manager) {
	t.Helper()
	for _, secret := range []string{postgrestest.Password, url.QueryEscape(postgrestest.Password), url.PathEscape(postgrestest.Password)} {
		if n := m.logged(secret); n != 0 {
			t.Errorf("the log holds the password %d times", n)
		}
	}
}
