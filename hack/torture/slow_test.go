package torture

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/collector/webhook"
)

// slowKind is a client that keeps a connection open and says little on it.
type slowKind struct {
	name  string
	count int
	// open returns the connection with what is said at first.
	open func(ctx context.Context) (net.Conn, error)
	drip string // what is said from time to time
}

func slowKinds(w *world) []slowKind {
	address, s := w.ports.ingest, w.sources["hostile"]
	dial := func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", address) }
	config := s.tls()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(64) // handshakes are not what is tried here
	secure := func(say string) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
			if err == nil {
				_, err = io.WriteString(conn, say)
			}
			return conn, err
		}
	}
	// The first bytes of a ClientHello of 512.
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half of what it would be"
	head := "POST " + webhook.PathPrefix + s.name + " HTTP/1.1\r\nHost: x\r\n"
	authorized := head + "Authorization: Bearer " + s.token + "\r\nContent-Length: 1000000\r\n\r\n"
	return []slowKind{
		{"silent", 5000, dial, ""},
		{"half a handshake", 3000, func(ctx context.Context) (net.Conn, error) {
			conn, err := dial(ctx)
			if err == nil {
				_, err = io.WriteString(conn, hello)
			}
			return conn, err
		}, ""},
		{"half a header", 1000, secure(head + "X-Slow: "), "x"},
		{"a body that drips", 1000, secure(authorized + `{"items":[`), " "},
	}
}

// TestSlowConnections holds 10,000 connections that say little or nothing, and
// opens each again that the manager has ended.
func TestSlowConnections(t *testing.T) {
	besides(t, "10,000 slow connections", func(w *world, m *manager, _ *ledger) string {
		var opened atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var holders sync.WaitGroup
		const each = 50 // connections of a holder: the race detector counts goroutines
		for _, kind := range slowKinds(w) {
			for range kind.count / each {
				holders.Go(func() { kind.hold(ctx, each, &opened) })
			}
		}
		// Ten seconds, and on a busy machine until there are about as many at once.
		most := 0
		for began := time.Now(); time.Since(began) < 10*time.Second || most < 9000 && time.Since(began) < time.Minute; {
			if open, err := m.openFiles(); err == nil {
				most = max(most, open)
			}
			pause(ctx, 50*time.Millisecond)
		}
		cancel()
		holders.Wait()
		if most < 9000 {
			t.Errorf("void: %d connections at once", most)
		}
		return fmt.Sprintf("%d opened, %d at once", opened.Load(), most)
	})
}

// hold keeps some connections open until the context ends.
func (k *slowKind) hold(ctx context.Context, n int, opened *atomic.Int64) {
	conns := make([]net.Conn, n)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	for ctx.Err() == nil {
		for i, conn := range conns {
			if conn != nil && k.stillOpen(conn) {
				continue
			}
			if conn != nil {
				conn.Close()
			}
			var err error
			if conns[i], err = k.open(ctx); err == nil {
				opened.Add(1)
			} else if conns[i] != nil {
				conns[i].Close()
				conns[i] = nil
			}
		}
		pause(ctx, 500*time.Millisecond)
	}
}

// stillOpen reports whether a connection is still open, and drips on it.
func (k *slowKind) stillOpen(conn net.Conn) bool {
	raw := conn
	if secure, ok := conn.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	if err := raw.SetReadDeadline(time.Now().Add(200 * time.Microsecond)); err != nil {
		return false
	}
	// What comes is the end, or tickets for the next handshake.
	if _, err := raw.Read(make([]byte, 4<<10)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_, err := io.WriteString(conn, k.drip)
	return err == nil
}

// openFiles is how many files and connections it has open.
func (m *manager) openFiles() (int, error) {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(m.command.Process.Pid) + "/fd")
	return len(entries), err
}
