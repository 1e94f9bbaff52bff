package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
)

// everything logs all that can be said, as the manager does.
func everything(w io.Writer) logr.Logger {
	return zap.New(zap.WriteTo(zapcore.Lock(zapcore.AddSync(w))), zap.Level(zapcore.Level(-10)))
}

// checkSecret looks for the password wherever a logger could find it.
func checkSecret(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var log bytes.Buffer
	everything(&log).Error(err, "It failed", "error", err)
	texts := []string{log.String(), fmt.Sprintf("%v %+v %#v", err, err, err)}
	for inner := []error{err}; len(inner) > 0; inner = inner[1:] {
		texts = append(texts, fmt.Sprintf("%+v", inner[0]))
		var several interface{ Unwrap() []error }
		if errors.As(inner[0], &several) {
			inner = append(inner, several.Unwrap()...)
		} else if one := errors.Unwrap(inner[0]); one != nil {
			inner = append(inner, one)
		}
		var connecting *pgconn.ConnectError
		var parsing *pgconn.ParseConfigError
		if errors.As(inner[0], &connecting) || errors.As(inner[0], &parsing) {
			t.Errorf("%v wraps an error that holds the password", err)
		}
	}
	for _, text := range texts {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "the-app") || strings.Contains(text, postgrestest.Password) {
			t.Errorf("it tells the password: %s", text)
		}
	}
}

// What the driver's parser says of a malformed URL quotes it.
func TestMalformedURLTellsNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://app:the-app%zz-s3cret@db/audit",
		"postgres://app:the-app/s3cret@db/audit",
		"postgres://app:1/the-app@s3cret@db/audit",
		"postgres://app:1/the-app-s3cret@db/audit",
		"postgres://app:1?the-app=s3cret@db/audit",
		"postgres://app:the-app@s3cret@db/audit",
		"postgres://app:the-app-s3cret@db:x/audit",
		"postgres://app:the-app-s3cret@db/audit?sslmode=never",
		"postgres://app:the-app-s3cret@db/audit?sslrootcert=/absent",
		"postgres://app:the-app-s3cret@db/audit?pool_max_conns=many",
		"postgres://db/audit?password=the-app-s3cret&port=x",
		"postgres://db/audit?password=the-app%zzs3cret",
		"postgres:/app:the-app-s3cret@db/audit",
		"app:the-app-s3cret@db/audit",
		"host=db password=the-app-s3cret",
	} {
		_, err := poolConfig(url)
		if err == nil {
			err = connect(t.Context(), url, func(c *pgxpool.Config) { c.ConnConfig.LookupFunc = noHost })
		}
		if err == nil {
			t.Errorf("%s: no error", url)
		}
		checkSecret(t, err)
	}
}

// The password may also come from the environment or a file.
func TestErrorsTellNoPassword(t *testing.T) {
	passwords := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(passwords, []byte("*:*:*:*:"+appPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, variable := range []struct{ name, value string }{{"PGPASSWORD", appPassword}, {"PGPASSFILE", passwords}} {
		t.Run(variable.name, func(t *testing.T) {
			t.Setenv(variable.name, variable.value)
			host := strings.SplitN(strings.SplitN(postgrestest.Shared(t).URL(), "@", 2)[1], "/", 2)[0]
			checkExplained(t, connect(t.Context(), "postgres://app@"+host+"/audit?sslmode=disable", nil), "refuses the password of the role")
			_, err := poolConfig("postgres://app@" + host + "x/audit")
			checkExplained(t, err, "a number from 1 to 65535")
		})
	}
}

// What a store logs in its life, its server's end included, tells no password.
func TestLogTellsNoPassword(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	url := server.Database(t)
	var log bytes.Buffer
	if err := Migrate(t.Context(), url, everything(&log)); err != nil {
		t.Fatal(err)
	}
	metrics := NewMetrics(prometheus.NewRegistry())
	s, err := Open(t.Context(), Options{URL: url, Now: func() time.Time { return testNow }, Log: everything(&log), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), batchOf(plain(1, testNow))); err != nil {
		t.Error(err)
	}
	server.Kill(t)
	for _, call := range []func() error{
		func() error { _, err := s.Append(t.Context(), batchOf(plain(2, testNow))); return err },
		func() error { return s.Ready(t.Context()) },
		func() error { _, err := s.Sources(t.Context()); return err },
		func() error { return Migrate(t.Context(), url, everything(&log)) },
		func() error {
			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := Open(soon, Options{URL: url, Log: everything(&log)})
			return err
		},
	} {
		err := call()
		if err == nil {
			t.Error("a dead server answers")
		}
		checkSecret(t, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	text := log.String()
	for _, secret := range []string{postgrestest.Password, "p%40ssword", "p@ssword"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log tells the password: %s", text)
		}
	}
	for _, line := range []string{"Applied a migration", "A commit failed", "Waits for the database"} {
		if !strings.Contains(text, line) {
			t.Errorf("the log lacks %q", line)
		}
	}
}
