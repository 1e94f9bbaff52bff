package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Shared returns the server that the tests of a binary share: that of
// TEST_DATABASE_URL, or one that is started at the first call and ends with the
// binary.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var shared = sync.OnceValues(func() (*Server, error) {
	// The first test's context would end it before the others.
	ctx := context.Background()
	if url := os.Getenv("TEST_DATABASE_URL"); url != "" {
		return external(ctx, url)
	}
	s, err := start(ctx, Options{Settings: map[string]string{"max_connections": "300"}})
	if err != nil {
		return nil, err
	}
	s.shared = true
	return s, nil
})

// external is a server that runs already. The parser's error is not told,
// because it may hold the password.
func external(ctx context.Context, url string) (*Server, error) {
	if _, err := pgx.ParseConfig(url); err != nil || !strings.HasPrefix(url, "postgres") {
		return nil, errors.New("TEST_DATABASE_URL is no URL of a PostgreSQL database; write postgres://user:password@host/database")
	}
	s := &Server{url: url, shared: true, named: map[string]string{}}
	if err := s.ping(ctx); err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	return s, nil
}
