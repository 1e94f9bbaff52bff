// Package gatetest stands between a client and a server of a test, so that the
// client can lose the server while others keep it.
package gatetest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Gate passes on what comes in, while it is open.
type Gate struct {
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener // nil while it is closed
	passing  map[net.Conn]bool
}

// Open opens a gate before the server at an address. It closes with the test.
func Open(t testing.TB, target string) *Gate {
	t.Helper()
	g := &Gate{address: "127.0.0.1:0", target: target}
	g.Reopen(t)
	t.Cleanup(g.Close)
	return g
}

// Address is where clients come in, on loopback. It stays the same.
func (g *Gate) Address() string { return g.address }

// Reopen opens a gate that was closed.
func (g *Gate) Reopen(t testing.TB) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address, g.listener, g.passing = listener.Addr().String(), listener, map[net.Conn]bool{}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go g.pass(in)
		}
	}()
}

func (g *Gate) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	if !g.admit(in) {
		return
	}
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

func (g *Gate) admit(in net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		g.passing[in] = true
	}
	return g.listener != nil
}

// Close cuts every connection and refuses others.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener == nil {
		return
	}
	g.listener.Close()
	g.listener = nil
	for conn := range g.passing {
		_ = conn.Close()
	}
}
