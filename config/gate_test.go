package config_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// gate stands before the API server, for the operator alone, so that the
// operator can lose it.
type gate struct {
	address string
	target  string

	mu       sync.Mutex
	listener net.Listener
	passing  map[net.Conn]bool
}

func openGate(t *testing.T) *gate {
	t.Helper()
	server, _, err := rest.DefaultServerUrlFor(world.config)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: "127.0.0.1:0", target: server.Host}
	g.open(t)
	t.Cleanup(g.close)
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", g.address)
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

func (g *gate) pass(in net.Conn) {
	defer func() { _ = in.Close() }()
	out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	g.mu.Lock()
	g.passing[in] = true
	g.mu.Unlock()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener.Close()
	for conn := range g.passing {
		_ = conn.Close()
	}
}
