package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestPostgresFailover kills the primary under load and promotes its
// synchronous standby: whatever was acknowledged is there. The manager knows
// both by its URL.
func TestPostgresFailover(t *testing.T) {
	r := scenario(t, "PostgreSQL: failover to a synchronous standby")
	for round := range rounds(t, 1) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			primary, standby, d := startPair(t)
			d = d.throughHosts(t, localAddress(primary), localAddress(standby))
			d.url += "&target_session_attrs=read-write"
			x := newTrial(t, r, uint64(2040+round), d)
			x.through(t, outage{
				name: "failover", lasts: time.Second,
				begin: func() { primary.Kill(t) }, end: func() { standby.Promote(t) },
			})
			x.ledger.storage = d.at(t, localAddress(standby))
			x.conclude(t)
		})
	}
}

// startPair starts a server and the standby that its commits wait for.
func startPair(t *testing.T) (primary, standby *postgrestest.Server, d database) {
	t.Helper()
	primary, d = startPostgres(t, postgrestest.Options{})
	standby = primary.Standby(t, "second")
	primary.Configure(t, map[string]string{"synchronous_standby_names": "second"})
	await(t, func() bool {
		return postgrestest.Query[bool](t, primary, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")
	})
	return primary, standby, d
}

// TestPostgresStandbyAway takes the standby away that commits wait for: what
// one server alone has is not acknowledged.
func TestPostgresStandbyAway(t *testing.T) {
	_, standby, d := startPair(t)
	x := newTrial(t, scenario(t, "PostgreSQL: the synchronous standby is away"), 205, d)
	x.through(t, outage{
		name: "no standby", lasts: time.Second,
		begin: func() { standby.Kill(t) }, end: func() { standby.Restart(t) },
	})
	x.conclude(t)
}
