package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// versionTable holds the versions that were applied.
const versionTable = "audit_schema_version"

// Migrate brings the schema to the version that this one needs. Only one
// process does so at a time; the others wait for it.
func Migrate(ctx context.Context, url string, log logr.Logger) error {
	config, err := poolConfig(url)
	if err != nil {
		return err
	}
	config.ConnConfig.RuntimeParams["statement_timeout"] = "0" // an index takes its time
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }() // nothing is left to be written
	if err := refuseExtensions(ctx, db); err != nil {
		return fmt.Errorf("migrate the schema: %w", targetOf(config.ConnConfig).explain(err))
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	applied, err := provider.Up(ctx)
	for _, result := range applied {
		log.Info("Applied a migration", "file", result.Source.Path, "duration", result.Duration.Round(time.Millisecond).String())
	}
	if err != nil {
		return fmt.Errorf("migrate the schema: %w", targetOf(config.ConnConfig).explain(err))
	}
	return nil
}

// refuseExtensions refuses a database with an extension that breaks what the
// store promises: see docs/adr/0021.
func refuseExtensions(ctx context.Context, db *sql.DB) error {
	var citus bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')").Scan(&citus); err != nil || !citus {
		return err
	}
	return errUnfit{"has the extension citus in this database, where reads would see parts of commits: make a database without it (DROP EXTENSION citus, if nothing else here needs it)"}
}

// schemaVersion is the version that this one needs: that of the last migration.
func schemaVersion() int64 {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		panic(err) // the pattern is a constant
	}
	version, err := goose.NumericComponent(slices.Max(files))
	if err != nil {
		panic(err) // the names are too
	}
	return version
}

// awaitSchema returns when the schema has the version that this one needs. A
// server that is away may come back; what is wrong with the way to it does not
// mend itself.
func (s *Store) awaitSchema(ctx context.Context) error {
	want := schemaVersion()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	said := ""
	for {
		got, err := s.currentVersion(ctx)
		switch {
		case err != nil && (!mayPass(err) || ctx.Err() != nil):
			return err
		case err != nil:
			err = s.explain(err)
		case got == want:
			return nil
		case got > want:
			return fmt.Errorf("the database's schema has version %d, newer than the %d that this version (%s) knows: run the newer version", got, want, s.opts.Version)
		default:
			err = fmt.Errorf("the schema has version %d, %d is needed: run manager migrate", got, want)
		}
		if err.Error() != said {
			s.log.Info("Waits for the database", "reason", err.Error())
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the database: %w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

func (s *Store) currentVersion(ctx context.Context) (int64, error) {
	var version int64
	err := s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&version)
	var failed *pgconn.PgError
	if errors.As(err, &failed) && failed.Code == pgerrcode.UndefinedTable {
		return 0, nil
	}
	return version, err
}
