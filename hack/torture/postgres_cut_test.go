package torture

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestPostgresCut breaks the connection in the middle of what is sent, at any
// byte, and as the server says that it has committed. Who delivers sends again
// what may be there already: it is there once, and counted once.
func TestPostgresCut(t *testing.T) {
	r := scenario(t, "PostgreSQL: connection cut")
	chance := rand.New(rand.NewPCG(206, 0))
	eachStore(t, rounds(t, 16), func(t *testing.T, rounds int) {
		server, d := startPostgres(t, postgrestest.Options{})
		between := newWire(t, localAddress(server))
		x := newTrial(t, r, chance.Uint64(), d.throughHosts(t, between.address()))
		for round := range rounds {
			name, says := "as it committed", beforeCommitted
			if round%2 == 0 {
				name, says = "while it was sent", afterBytes(1+chance.IntN(2<<20))
			}
			x.sender.restart()
			x.before(t, x.sender.loadFor(t, 200*time.Millisecond))
			broke := between.breakWhen(says)
			select {
			case <-broke:
			case <-time.After(backWithin):
				t.Fatalf("%s: nothing was there to be cut\n%s", name, x.manager.tail())
			}
			x.recovers(t, name)
			x.rounds++
		}
		x.conclude(t)
		if got := x.ledger.stats(t, "honest"); got.Duplicate == 0 {
			t.Errorf("void: no event came again that was stored already: %+v", got)
		}
	})
}

// TestPostgresStall lets nothing pass for a while on connections that stay
// open, as where a machine hangs.
func TestPostgresStall(t *testing.T) {
	server, d := startPostgres(t, postgrestest.Options{})
	between := newWire(t, localAddress(server))
	x := newTrial(t, scenario(t, "PostgreSQL: nothing passes for 20 s"), 207, d.throughHosts(t, between.address()))
	x.through(t, outage{
		name: "stalled", lasts: 5 * time.Second,
		begin: func() { between.stall(true) }, end: func() { between.stall(false) },
	})
	x.conclude(t)
}
