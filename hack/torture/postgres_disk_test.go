package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// newServerVolume is a volume of a size for the data of a server.
func newServerVolume(t *testing.T, bytes int64) *volume {
	t.Helper()
	dir, err := os.MkdirTemp("", "volume-") // the server can't see that of the test
	if err != nil {
		t.Fatal(err)
	}
	v := &volume{FS: faultfs.New(bytes), mounted: dir}
	uid, gid, other, err := postgrestest.Owner()
	if err != nil {
		t.Fatal(err)
	}
	if other {
		v.GiveTo(uid, gid)
	}
	v.mount(t)
	t.Cleanup(func() { v.unmount(t); os.Remove(dir) })
	return v
}

// TestPostgresDiskFull runs the server into a full volume, and then there is
// space again. Where it can't extend a table it says so and goes on; where it
// can't write its log either, as on volumes that copy on write, it ends, and is
// started again as by a supervisor.
func TestPostgresDiskFull(t *testing.T) {
	const large = 4 << 30
	r := scenario(t, "PostgreSQL: disk full")
	chance := rand.New(rand.NewPCG(211, 0))
	ended := 0
	eachStore(t, rounds(t, 3), func(t *testing.T, rounds int) {
		disk := newServerVolume(t, large)
		server, d := startPostgres(t, postgrestest.Options{Data: disk.data()})
		x := newTrial(t, r, chance.Uint64(), d)
		for round := range rounds {
			full := outage{name: "no space", lasts: 2 * time.Second, leaks: true,
				begin: func() { disk.SetCapacity(disk.Used() + chance.Int64N(4<<20)) }}
			if round%2 == 1 {
				full = outage{name: "no write", lasts: time.Second,
					begin:     func() { disk.Inject(faultfs.Fault{Op: faultfs.Write, Errno: syscall.ENOSPC}) },
					meanwhile: func() { await(t, server.Ended) }} // nor can it recover
			}
			full.end = func() {
				disk.SetCapacity(large)
				disk.Heal()
				await(t, func() bool { return server.Ended() || d.answers(t) }) // it may be ending
				if server.Ended() {
					ended++
					server.Restart(t)
				}
			}
			x.through(t, full)
		}
		x.conclude(t)
	})
	r.note = fmt.Sprintf("the server ended %d times", ended)
}

func (d database) answers(t *testing.T) bool {
	conn, err := pgx.Connect(t.Context(), d.direct)
	if err != nil {
		return false
	}
	conn.Close(t.Context())
	return true
}
