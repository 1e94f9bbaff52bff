package torture

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// service leads to managers as a Service of Kubernetes does: each connection to
// one of those whose probe says that they are ready, in turn. A connection that
// was made stays where it is.
type service struct {
	ingest, dashboard net.Listener

	mu      sync.Mutex
	members []*manager // that may be asked
	ready   []*manager
	next    int
}

// probeEvery is how often members are asked, and settles how long it takes
// until every node knows who is ready.
const (
	probeEvery = 500 * time.Millisecond
	settles    = time.Second
)

// newService has no members yet. It ends with the test.
func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for listener, port := range map[*net.Listener]func(ports) string{
		&s.ingest:    func(p ports) string { return p.ingest },
		&s.dashboard: func(p ports) string { return p.dashboard },
	} {
		made, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*listener = made
		ended.Go(func() { s.accept(ctx, made, port) })
	}
	ended.Go(func() { s.probe(ctx) })
	t.Cleanup(func() {
		cancel()
		s.ingest.Close()
		s.dashboard.Close()
		ended.Wait()
	})
	return s
}

// probe keeps up which members are ready.
func (s *service) probe(ctx context.Context) {
	for pause(ctx, probeEvery) {
		for _, m := range s.list() {
			ready := m.ready(ctx) == nil
			s.mu.Lock()
			if at := slices.Index(s.ready, m); at >= 0 && !ready {
				s.ready = slices.Delete(s.ready, at, at+1)
			} else if at < 0 && ready && slices.Contains(s.members, m) {
				s.ready = append(s.ready, m)
			}
			s.mu.Unlock()
		}
	}
}

func (s *service) list() []*manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members)
}

// admit returns once a manager has its turn.
func (s *service) admit(t *testing.T, m *manager) {
	t.Helper()
	s.mu.Lock()
	s.members = append(s.members, m)
	s.mu.Unlock()
	awaitOf(t, m, "the service takes it as ready", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Contains(s.ready, m)
	})
}

// retire sends a manager nothing more.
func (s *service) retire(m *manager) {
	s.mu.Lock()
	defer s.mu.Unlock()
	other := func(one *manager) bool { return one == m }
	s.members, s.ready = slices.DeleteFunc(s.members, other), slices.DeleteFunc(s.ready, other)
}

// turn returns whose it is; nil when nobody is ready.
func (s *service) turn() *manager {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return nil
	}
	s.next++
	return s.ready[s.next%len(s.ready)]
}

func (s *service) accept(ctx context.Context, listener net.Listener, port func(ports) string) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return // it was closed
		}
		go s.connect(ctx, near, port)
	}
}

// connect carries a connection until either side ends it.
func (s *service) connect(ctx context.Context, near net.Conn, port func(ports) string) {
	defer near.Close()
	m := s.turn()
	if m == nil {
		return
	}
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", port(m.ports))
	if err != nil {
		return // nobody else is asked
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); far.Close() })
	defer stop()
	answered := make(chan struct{})
	go func() {
		_, _ = io.Copy(near, far) // its end is the connection's
		_ = near.(*net.TCPConn).CloseWrite()
		close(answered)
	}()
	_, _ = io.Copy(far, near)
	_ = far.(*net.TCPConn).CloseWrite()
	<-answered
}
