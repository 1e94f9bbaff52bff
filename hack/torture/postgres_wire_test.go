package torture

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// wire is what lies between managers and a server of PostgreSQL: it can break
// anywhere, and hang.
type wire struct {
	listener net.Listener
	server   string

	mu      sync.Mutex
	moves   sync.Cond // links, stalled or closed changed
	links   map[*link]bool
	stalled bool
	closed  bool
	breaks  func(toServer bool, data []byte) (pass int, cut bool) // nil for no more
	broke   chan struct{}                                         // closed once it did
}

// link is one connection: that of a manager, and that to the server.
type link struct{ near, far net.Conn }

func (l *link) close() {
	for _, conn := range []net.Conn{l.near, l.far} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // by a reset, as where a machine has gone
		}
		conn.Close()
	}
}

// newWire leads to a server. It ends with the test.
func newWire(t *testing.T, server string) *wire {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, server: server, links: map[*link]bool{}}
	w.moves.L = &w.mu
	var ended sync.WaitGroup
	ended.Go(func() { w.accept(&ended) })
	t.Cleanup(func() {
		listener.Close()
		w.cutAll(true)
		ended.Wait()
	})
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) accept(ended *sync.WaitGroup) {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return // it was closed
		}
		far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.server)
		if err != nil {
			near.Close()
			continue
		}
		l := &link{near, far}
		w.mu.Lock()
		w.links[l] = true
		w.mu.Unlock()
		ended.Go(func() { w.carry(l, near, far, true) })
		ended.Go(func() { w.carry(l, far, near, false) })
	}
}

// carry passes on what comes from one side, until the link ends.
func (w *wire) carry(l *link, from, to net.Conn, toServer bool) {
	defer w.cut(l)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		pass, cut := w.gate(l, toServer, buffer[:n])
		if _, failed := to.Write(buffer[:pass]); failed != nil || err != nil || cut {
			return
		}
	}
}

// gate waits while the wire is stalled, and says how much passes and whether
// the link breaks then.
func (w *wire) gate(l *link, toServer bool, data []byte) (pass int, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stalled && w.links[l] && !w.closed {
		w.moves.Wait()
	}
	if w.breaks == nil {
		return len(data), false
	}
	if pass, cut = w.breaks(toServer, data); cut {
		w.breaks = nil
		close(w.broke)
	}
	return pass, cut
}

func (w *wire) cut(l *link) {
	l.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.links, l)
	w.moves.Broadcast()
}

func (w *wire) cutAll(forGood bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = w.closed || forGood
	for l := range w.links {
		l.close()
		delete(w.links, l)
	}
	w.moves.Broadcast()
}

// stall lets nothing pass, or again everything. No connection ends by it.
func (w *wire) stall(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stalled = on
	w.moves.Broadcast()
}

// breakWhen breaks the first link of which a function says so. What is
// returned is closed then.
func (w *wire) breakWhen(says func(toServer bool, data []byte) (pass int, cut bool)) (broke <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks, w.broke = says, make(chan struct{})
	return w.broke
}

// afterBytes breaks what sends one byte too many.
func afterBytes(left int) func(bool, []byte) (int, bool) {
	return func(toServer bool, data []byte) (int, bool) {
		if !toServer {
			return len(data), false
		}
		if left -= len(data); left > 0 {
			return len(data), false
		}
		return len(data) + left, true
	}
}

// beforeCommitted breaks as the server says that it has committed rows: it is
// done, and nobody is told.
func beforeCommitted(toServer bool, data []byte) (int, bool) {
	at := bytes.Index(data, []byte("COMMIT\x00"))
	if toServer || at < 0 || !bytes.Contains(data[:at], []byte("INSERT 0 ")) {
		return len(data), false
	}
	return at, true
}

// A wire breaks where it was told to, passes on what comes before, and hangs.
func TestWire(t *testing.T) {
	echo, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			conn, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
		}
	}()
	w := newWire(t, echo.Addr().String())
	say := func(text string) string {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, text)
		answer := make([]byte, len(text))
		n, _ := io.ReadFull(conn, answer)
		return string(answer[:n])
	}
	for _, c := range []struct {
		says func(bool, []byte) (int, bool)
		text string
	}{
		{afterBytes(4), "123456"},
		{beforeCommitted, "INSERT 0 1\x00 COMMIT\x00 after"},
	} {
		broke := w.breakWhen(c.says)
		if got := say(c.text); got == c.text {
			t.Errorf("%q came back whole", c.text)
		}
		<-broke
		if got := say(c.text); got != c.text {
			t.Errorf("afterwards %q came back as %q", c.text, got)
		}
	}
	w.stall(true)
	answered := make(chan string, 1)
	go func() { answered <- say("slow") }()
	select {
	case got := <-answered:
		t.Errorf("%q passed a wire that is stalled", got)
	case <-time.After(100 * time.Millisecond):
	}
	w.stall(false)
	if got := <-answered; got != "slow" {
		t.Errorf("after the stall came %q", got)
	}
}
