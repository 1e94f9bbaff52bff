package postgres

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// A replica that starts while its server is away opens the store when the
// server is back.
func TestOpenWaitsForTheServer(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	url := server.Database(t)
	if err := Migrate(t.Context(), url, everything(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	server.Stop(t, "fast")

	var log bytes.Buffer
	early, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := Open(early, Options{URL: url, Log: everything(&log)})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "does not listen") {
		t.Errorf("Open while the server is away = %v, want the end of its time and the reason", err)
	}
	if n := strings.Count(log.String(), "Waits for the database"); n != 1 {
		t.Errorf("it said %d times that it waits: %s", n, log.String())
	}

	opened := make(chan error, 1)
	go func() {
		s, err := Open(t.Context(), Options{URL: url})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	server.Restart(t)
	if err := <-opened; err != nil {
		t.Errorf("Open once the server was back: %v", err)
	}
}

// What does not mend itself is told at once.
func TestOpenFailsAtOnce(t *testing.T) {
	server := postgrestest.Shared(t)
	url := server.Database(t)
	if _, err := Open(t.Context(), Options{URL: strings.Replace(url, "/test_", "/none_", 1)}); err == nil || !strings.Contains(err.Error(), "has no database") {
		t.Errorf("Open of a database that does not exist = %v", err)
	}
}
