package torture

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/hack/torture/faultfs"
)

// failing is a fault that begins and ends while the manager goes on.
type failing struct {
	name  string
	begin func(d *volume)
	end   func(d *volume)
}

func injected(faults ...faultfs.Fault) failing {
	name := ""
	for _, f := range faults {
		name += fmt.Sprintf("%v on %s of %q after %d; ", f.Errno, f.Op, f.Glob, f.After)
	}
	return failing{name, func(d *volume) { d.Inject(faults...) }, func(d *volume) { d.Heal() }}
}

// TestVolumeFull runs under load into a full volume, and then there is space again.
func TestVolumeFull(t *testing.T) {
	const large = 4 << 30
	full := failing{"no space, as the volume says itself",
		func(d *volume) { d.SetCapacity(d.Used() + 1<<20) }, func(d *volume) { d.SetCapacity(large) }}
	testFailing(t, "volume full", large,
		full,
		injected(faultfs.Fault{Op: faultfs.Write, Glob: "*.seg", Errno: syscall.ENOSPC}),
		injected(faultfs.Fault{Op: faultfs.Write, Glob: "*.wal", Errno: syscall.ENOSPC}),
		injected(faultfs.Fault{Op: faultfs.Write, Errno: syscall.ENOSPC}, faultfs.Fault{Op: faultfs.Name, Errno: syscall.ENOSPC}),
		full,
	)
}

// TestIOError has the disk fail at each of the places that a commit uses: at
// once, and after some operations.
func TestIOError(t *testing.T) {
	var faults []failing
	chance := rand.New(rand.NewPCG(4, 0))
	for _, f := range []faultfs.Fault{
		{Op: faultfs.Write, Glob: "*.seg"},
		{Op: faultfs.Write, Glob: "*.wal"},
		{Op: faultfs.Sync, Glob: "*.seg"},
		{Op: faultfs.Sync, Glob: "*.wal"},
		{Op: faultfs.Write},
		{Op: faultfs.Sync},
	} {
		f.Errno = syscall.EIO
		faults = append(faults, injected(f))
		f.After = 1 + chance.IntN(20)
		faults = append(faults, injected(f))
	}
	testFailing(t, "EIO", 4<<30, faults...)
}

// testFailing has one manager under load meet one fault after the other. While
// a fault lasts nothing is acknowledged and the probe says so; afterwards the
// manager goes on by itself. At the end the power goes: what was acknowledged
// after a failed fsync must be durable, too.
func testFailing(t *testing.T, name string, capacity int64, faults ...failing) {
	w := inWorld(t)
	r := scenario(t, name)
	disk := newVolume(t, capacity)
	l := newLedger(t, folder(disk.data()))
	s := newSender(w, "honest", 4)
	m := w.mustStart(t, l.storage)
	stop := s.start(t)
	for _, f := range faults {
		s.restart()
		r.before(t, s.loadFor(t, 300*time.Millisecond))
		f.begin(disk)
		refused, _ := s.counts()
		awaitOf(t, m, f.name+": deliveries are refused", func() bool { now, _ := s.counts(); return now > refused+connections })
		awaitOf(t, m, f.name+": not ready", func() bool { return errors.Is(m.ready(t.Context()), errNotReady) })
		_, acked := s.counts()
		pause(t.Context(), 200*time.Millisecond)
		if _, now := s.counts(); now != acked {
			t.Errorf("%s: %d events were acknowledged", f.name, now-acked)
		}
		f.end(disk)
		awaitOf(t, m, f.name+": ready again", func() bool { return m.ready(t.Context()) == nil })
		awaitOf(t, m, f.name+": deliveries are taken again", func() bool { _, now := s.counts(); return now > acked })
		r.rounds++
	}
	if err := m.kill(); err != nil {
		t.Fatal(err)
	}
	stop()
	if len(s.wrong) > 0 {
		t.Errorf("answers that are neither 2xx nor %d with Retry-After: %q", http.StatusServiceUnavailable, s.wrong)
	}
	disk.cut(t, nil)
	l.note(t, s.source.name, s.settled())
	r.rounds--
	v := l.compare(t)
	t.Log(v)
	r.round(t, l, v)
}

// awaitOf waits for what a running manager is to do.
func awaitOf(t *testing.T, m *manager, what string, condition func() bool) {
	t.Helper()
	if err := poll(t.Context(), 30*time.Second, func() error {
		if !condition() && m.alive() {
			return errors.New("the condition does not hold")
		}
		return nil
	}); err != nil || !m.alive() {
		t.Fatalf("%s: %v, alive: %t\n%s", what, err, m.alive(), m.tail())
	}
}
