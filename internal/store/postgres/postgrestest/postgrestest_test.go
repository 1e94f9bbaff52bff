package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestShared(t *testing.T) {
	if first := Shared(t); Shared(t) != first {
		t.Error("one binary has two servers")
	}
	var url string
	t.Run("database", func(t *testing.T) {
		url = Shared(t).Database(t)
		if other := Shared(t).Database(t); other == url {
			t.Error("two databases are one")
		}
		got, err := query[string](t.Context(), url, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()")
		if err != nil || got != "UTF8" {
			t.Errorf("the encoding is %s, %v; want UTF8", got, err)
		}
	})
	if err := execute(t.Context(), url, "SELECT"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after its test, a database answers %v", err)
	}
}

// What TEST_DATABASE_URL names is used, and its password never told.
func TestExternal(t *testing.T) {
	s := Start(t, Options{})
	found, err := external(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := query[string](t.Context(), found.Database(t), "SELECT current_user"); err != nil || got != User {
		t.Errorf("the user is %s, %v; want %s", got, err, User)
	}
	for _, url := range []string{
		strings.Replace(s.URL(), "word%2F1", "word%2F2", 1), // a wrong password
		strings.Replace(s.URL(), "word%2F1", "word%2", 1),
		strings.Replace(s.URL(), "postgres://", "mysql://", 1),
		strings.Replace(s.URL(), "127.0.0.1:", "127.0.0.1:x", 1),
	} {
		_, err := external(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "p@ss") || strings.Contains(err.Error(), "p%40ss") {
			t.Errorf("the error is %v; want one without the password", err)
		}
	}
}

func TestDatabaseNamed(t *testing.T) {
	s := Shared(t)
	a, b := s.DatabaseNamed(t, "a"), s.DatabaseNamed(t, "b")
	if a == b || s.DatabaseNamed(t, "a") != a {
		t.Error("a key must have one database, and another key another one")
	}
}

func TestRestart(t *testing.T) {
	s := Start(t, Options{Durable: true, Settings: map[string]string{"application_name": "o'clock"}})
	if got := Query[string](t, s, "SELECT current_setting('fsync') || current_setting('application_name')"); got != "ono'clock" {
		t.Errorf("the settings are %s, want on and o'clock", got)
	}
	s.Exec(t, "CREATE TABLE kept AS SELECT 1 AS one")
	for _, end := range []struct {
		name string
		by   func()
	}{
		{"kill", func() { s.Kill(t) }},
		{"stop immediate", func() { s.Stop(t, "immediate") }},
		{"stop fast", func() { s.Stop(t, "fast") }},
	} {
		end.by()
		if err := s.ping(t.Context()); err == nil {
			t.Fatalf("%s: the server answers after its end", end.name)
		}
		s.Restart(t)
		if got := Query[int](t, s, "SELECT one FROM kept"); got != 1 {
			t.Errorf("%s: kept %d, want 1", end.name, got)
		}
	}
}

func TestKeptData(t *testing.T) {
	// Not the test's own folder, which is closed to who the server runs as.
	dir, err := os.MkdirTemp("", "kept-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	opts := Options{Data: dir}
	t.Run("first", func(t *testing.T) { Start(t, opts).Exec(t, "CREATE TABLE kept AS SELECT 1 AS one") })
	if got := Query[int](t, Start(t, opts), "SELECT one FROM kept"); got != 1 {
		t.Errorf("kept %d, want 1", got)
	}
}

func TestStandby(t *testing.T) {
	primary := Start(t, Options{})
	standby := primary.Standby(t, "second")
	primary.Configure(t, map[string]string{"synchronous_standby_names": "second"})
	primary.Exec(t, "CREATE TABLE kept AS SELECT 1 AS one")
	if got := Query[string](t, primary, "SELECT sync_state FROM pg_stat_replication"); got != "sync" {
		t.Errorf("the standby is %s, want sync", got)
	}
	standby.CatchUp(t, primary)
	if err := execute(t.Context(), standby.URL(), "CREATE TABLE refused ()"); err == nil {
		t.Error("a standby takes writes")
	}
	primary.Kill(t)
	standby.Promote(t)
	standby.Exec(t, "INSERT INTO kept VALUES (2)")
	if got := Query[int](t, standby, "SELECT sum(one)::int FROM kept"); got != 3 {
		t.Errorf("after the failover the sum is %d, want 3", got)
	}
}

// TestEnd kills a test binary: its server must end and its folder go.
func TestEnd(t *testing.T) {
	const child = "POSTGRESTEST_CHILD"
	if file := os.Getenv(child); file != "" {
		s := Start(t, Options{})
		if err := os.WriteFile(file+".new", []byte(s.home.dir+"\n"+s.URL()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		<-t.Context().Done() // until it is killed
	}
	file := filepath.Join(t.TempDir(), "started")
	binary := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEnd$")
	binary.Env = append(os.Environ(), child+"="+file)
	if err := binary.Start(); err != nil {
		t.Fatal(err)
	}
	var data []byte
	err := await(t.Context(), time.Minute, func() (err error) {
		data, err = os.ReadFile(file)
		return err
	})
	if err := binary.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = binary.Wait() // it was killed
	if err != nil {
		t.Fatal(err)
	}
	dir, url, _ := strings.Cut(string(data), "\n")
	err = await(context.Background(), 10*time.Second, func() error {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			return fmt.Errorf("%s is still there", dir)
		}
		return nil
	})
	if err != nil {
		t.Errorf("the folder stays after its test binary was killed: %v", err)
	}
	if err := execute(t.Context(), url, "SELECT"); err == nil {
		t.Error("the server stays after its test binary was killed")
	}
}
