// Package postgrestest starts real PostgreSQL servers for tests and benchmarks:
// one that a test binary shares, and others that a test may kill.
package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The superuser of every server that is started here. Over TCP it needs the
// password, by SCRAM, as in production.
const (
	User     = "postgres"
	Password = "the-superuser's-p@ssword/1"
)

// Options say how a server differs from the usual one.
type Options struct {
	// Settings go into postgresql.conf.
	Settings map[string]string
	// Durable keeps what was committed through a crash of the machine too. By
	// default nothing is synced, which is quicker.
	Durable bool
	// Port is a free one by default.
	Port int
	// Data is the folder of the server's files, which stay there for the next
	// server. Who the server runs as must reach it. By default the files end
	// with the test.
	Data string
}

// Server is a PostgreSQL server.
type Server struct {
	url    string // of the database postgres, for a superuser
	home   *home  // nil for that of TEST_DATABASE_URL
	port   int
	shared bool

	running *process // nil while it is stopped

	mu    sync.Mutex
	named map[string]string // URLs by key
}

// Start starts a server of the test's own, which ends with the test.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

// Run starts a server for who is no test, and calls End when it has done. The
// server ends with the program at the latest.
func Run(ctx context.Context, opts Options) (*Server, error) { return start(ctx, opts) }

func start(ctx context.Context, opts Options) (*Server, error) {
	h, err := newHome(ctx, opts.Data)
	if err != nil {
		return nil, err
	}
	if !h.isFilled() {
		if err := h.initdb(ctx, opts.Durable); err != nil {
			return nil, errors.Join(err, h.remove())
		}
	}
	s, err := h.start(ctx, opts)
	if err != nil {
		return nil, errors.Join(err, h.remove())
	}
	return s, nil
}

// start runs a server over a folder that is filled.
func (h *home) start(ctx context.Context, opts Options) (*Server, error) {
	port := opts.Port
	if port == 0 {
		var err error
		if port, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	s := &Server{home: h, port: port, named: map[string]string{}}
	s.url = (&url.URL{
		Scheme: "postgres", User: url.UserPassword(User, Password),
		Host: address(port), Path: "/postgres", RawQuery: "sslmode=disable",
	}).String()
	if err := h.configure(usual(h, port), opts.Settings); err != nil {
		return nil, err
	}
	return s, s.launch(ctx)
}

// usual are the settings that every server gets. The time zone is one that
// shows where a day of UTC is confused with a local one.
func usual(h *home, port int) map[string]string {
	return map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": h.dir,
		"timezone":                "Asia/Kathmandu",
	}
}

// freePort finds one that no connection is given by the kernel, so that it is
// still free when a server that was stopped starts again.
func freePort(ctx context.Context) (int, error) {
	const first, last = 20000, 32000
	var err error
	for range 100 {
		port := first + rand.IntN(last-first)
		var listener net.Listener
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address(port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// launch starts the process and returns once it answers.
func (s *Server) launch(ctx context.Context) error {
	p, err := s.home.postgres()
	if err != nil {
		return err
	}
	s.running = p
	err = await(ctx, time.Minute, func() error {
		if p.hasEnded() {
			return nil
		}
		return s.ping(ctx)
	})
	if p.hasEnded() {
		s.running = nil
		return fmt.Errorf("the PostgreSQL server ended by itself (%v):\n%s", p.state(), s.home.logTail())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the PostgreSQL server does not answer: %w\n%s", err, s.home.logTail()), s.halt("immediate"))
	}
	return nil
}

func (s *Server) ping(ctx context.Context) error {
	return execute(ctx, s.url, "SELECT")
}

// URL is that of the database postgres, for a superuser.
func (s *Server) URL() string { return s.url }

// Port is the one on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// SocketDir is the folder of the Unix socket, over which no password is asked.
func (s *Server) SocketDir() string { return s.home.dir }

// Log is what the server has logged so far.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(s.home.log())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Stop ends the server as pg_ctl does: "fast" cuts the connections and writes
// everything out, "immediate" leaves recovery to the next start.
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	s.mustOwn(t)
	if err := s.halt(mode); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) halt(mode string) error {
	if s.running == nil {
		return nil
	}
	if err := s.running.stop(mode); err != nil {
		return err
	}
	s.running = nil
	return nil
}

// Kill ends the server and its children at once, by SIGKILL, as a crash of the
// machine does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.mustOwn(t)
	if s.running == nil {
		t.Fatal("the PostgreSQL server does not run")
	}
	if err := s.running.kill(); err != nil {
		t.Fatal(err)
	}
	s.running = nil
}

// Ended reports whether the server has ended, by itself or by one of the above.
func (s *Server) Ended() bool { return s.running == nil || s.running.hasEnded() }

// Restart starts the server again, at the same address; one that runs is
// stopped before.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop(t, "fast")
	if err := s.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Configure adds settings to postgresql.conf. They hold after a reload or,
// where PostgreSQL wants that, a restart.
func (s *Server) Configure(t testing.TB, settings map[string]string) {
	t.Helper()
	s.mustOwn(t)
	if err := s.home.configure(settings); err != nil {
		t.Fatal(err)
	}
	if s.running != nil {
		s.Exec(t, "SELECT pg_reload_conf()")
	}
}

// WriteFile makes a file in the server's data directory, or replaces one such
// as pg_hba.conf, and returns its path. Nobody but the server may read it.
func (s *Server) WriteFile(t testing.TB, name, text string) string {
	t.Helper()
	s.mustOwn(t)
	path := filepath.Join(s.home.data(), name)
	if err := s.home.write(path, text); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *Server) mustOwn(t testing.TB) {
	t.Helper()
	if s.shared {
		t.Fatal("this test needs a server of its own: postgrestest.Start")
	}
}

// end stops the server and removes its folder.
func (s *Server) end(t testing.TB) {
	t.Helper()
	if t.Failed() {
		t.Logf("the PostgreSQL server's log ends with\n%s", s.home.logTail())
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
}

// End stops the server and removes its folder.
func (s *Server) End() error {
	mode := "immediate"
	if s.home.kept != "" {
		mode = "fast" // leaves nothing to recover
	}
	return errors.Join(s.halt(mode), s.home.remove())
}

func await(ctx context.Context, limit time.Duration, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
