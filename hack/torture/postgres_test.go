package torture

import (
	"math/rand/v2"
	"testing"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// TestPostgresKill kills the server and its children in the middle of the
// load, and starts it again over the same data.
func TestPostgresKill(t *testing.T) {
	r := scenario(t, "PostgreSQL: kill -9 of the server")
	chance := rand.New(rand.NewPCG(201, 0))
	eachStore(t, rounds(t, 4), func(t *testing.T, rounds int) {
		server, d := startPostgres(t, postgrestest.Options{})
		x := newTrial(t, r, chance.Uint64(), d)
		for round := range rounds {
			o := outage{name: "killed", begin: func() { server.Kill(t) }, end: func() { server.Restart(t) }}
			if round%2 == 0 { // else it is back at once
				o.lasts = moment(chance)
			}
			x.through(t, o)
		}
		x.conclude(t)
	})
}

// TestPostgresStop stops the server as its administrators do.
func TestPostgresStop(t *testing.T) {
	r := scenario(t, "PostgreSQL: stop fast and immediate")
	chance := rand.New(rand.NewPCG(202, 0))
	eachStore(t, rounds(t, 4), func(t *testing.T, rounds int) {
		server, d := startPostgres(t, postgrestest.Options{})
		x := newTrial(t, r, chance.Uint64(), d)
		for round := range rounds {
			mode := []string{"fast", "immediate"}[round%2]
			o := outage{name: mode, begin: func() { server.Stop(t, mode) }, end: func() { server.Restart(t) }}
			if round%4 < 2 {
				o.lasts = moment(chance)
			}
			x.through(t, o)
		}
		x.conclude(t)
	})
}
