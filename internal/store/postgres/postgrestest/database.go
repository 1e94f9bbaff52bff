package postgrestest

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Database makes an empty database for the test, which is dropped with it, and
// returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	s.Exec(t, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'")
	if s.shared {
		t.Cleanup(func() { s.Exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	}
	return s.DatabaseURL(t, name)
}

// DatabaseNamed is Database, but returns the same one for the same key, so that
// what was closed can be opened again.
func (s *Server) DatabaseNamed(t testing.TB, key string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if url, known := s.named[key]; known {
		return url
	}
	url := s.Database(t)
	s.named[key] = url
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.named, key)
	})
	return url
}

// DatabaseURL is the URL of a database by its name.
func (s *Server) DatabaseURL(t testing.TB, name string) string {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal("the server's URL is malformed") // the error would hold its password
	}
	u.Path = "/" + name
	return u.String()
}

// Exec runs a statement as the superuser, in the database postgres.
func (s *Server) Exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	// Cleanups run it too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := execute(ctx, s.url, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func execute(ctx context.Context, url, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, args...)
	return err
}

// Query returns the one value that a statement asks for, as the superuser, in
// the database postgres.
func Query[T any](t testing.TB, s *Server, sql string, args ...any) T {
	t.Helper()
	value, err := query[T](t.Context(), s.url, sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func query[T any](ctx context.Context, url, sql string, args ...any) (T, error) {
	var value T
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return value, err
	}
	defer conn.Close(ctx)
	return value, conn.QueryRow(ctx, sql, args...).Scan(&value)
}
