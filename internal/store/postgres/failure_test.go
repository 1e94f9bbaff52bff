package postgres

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// TestManyReplicas has many stores append the same events at once, in various
// orders: each event is stored once, and nobody waits in a circle.
func TestManyReplicas(t *testing.T) {
	url := newDatabase(t)
	events := generated(t, 1, testNow.Add(-26*time.Hour), 2000)
	circles := atomic.Int32{}
	log := funcr.New(func(_, args string) {
		if strings.Contains(args, "A commit met another one or a dead connection; tried again") {
			circles.Add(1)
		}
	}, funcr.Options{Verbosity: 1})
	var stored atomic.Int64
	var group errgroup.Group
	for replica := range 4 {
		s := mustOpen(t, Options{URL: url, Now: func() time.Time { return testNow }, Log: log})
		for n := range 4 {
			own := slices.Clone(events)
			random := rand.New(rand.NewPCG(uint64(replica), uint64(n)))
			random.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
			group.Go(func() error {
				for batch := range slices.Chunk(own, 170) {
					got, err := s.Append(t.Context(), batchOf(batch...))
					if err != nil || got.Stored+got.Duplicate != len(batch) {
						return fmt.Errorf("Append = %+v, %w", got, err)
					}
					stored.Add(int64(got.Stored))
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, url)
	if kept, told := ask[int](t, s, "SELECT count(*) FROM audit_events"), stored.Load(); kept != 2000 || told != 2000 {
		t.Errorf("%d events are kept and %d were told to be stored, want 2000", kept, told)
	}
	if n := circles.Load(); n > 0 {
		t.Errorf("transactions waited for each other in a circle %d times", n)
	}
	checkRollups(t, s)
	want := store.SourceStats{Source: "s", Received: 32_000, Stored: 2000, Duplicate: 30_000}
	if got, err := s.Sources(t.Context()); err != nil || len(got) != 1 || got[0].Received != want.Received || got[0].Stored != want.Stored || got[0].Duplicate != want.Duplicate {
		t.Errorf("Sources = %+v, %v; want %+v", got, err, want)
	}
}

// TestRefusedEvent appends events of which the database refuses some, beside
// batches that are as they should be: only those are quarantined.
func TestRefusedEvent(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustExec(t, s, "ALTER TABLE audit_rows ADD CONSTRAINT no_poison CHECK (path <> '/poison')")
	events := generated(t, 1, testNow.Add(-26*time.Hour), 1000)
	poison := []int{0, 333, 999}
	for _, i := range poison {
		events[i].Path = "/poison"
	}
	var group errgroup.Group
	for n := range 8 {
		group.Go(func() error {
			if got, err := s.Append(t.Context(), batchOf(plain(n, testNow))); err != nil || got.Stored != 1 {
				return fmt.Errorf("a batch beside it: %+v, %w", got, err)
			}
			return nil
		})
	}
	mustAppend(t, s, store.Appended{Stored: 997, Quarantined: 3}, events...)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	items, err := storetest.Quarantined(t.Context(), s, "s")
	if err != nil || len(items) != len(poison) {
		t.Fatalf("Quarantine = %d items, %v; want %d", len(items), err, len(poison))
	}
	for i, item := range items {
		e := events[poison[len(poison)-1-i]]
		if item.Hash != e.RawSHA256 || string(item.Redacted) != string(e.Raw) || !strings.Contains(item.Reason, "no_poison") || !strings.Contains(item.Reason, "23514") {
			t.Errorf("quarantined as %+v, want the event with the reason", item)
		}
	}
	checkRollups(t, s)
	if got := ask[int](t, s, "SELECT count(*) FROM audit_events"); got != 997+8 {
		t.Errorf("%d events are stored, want %d", got, 997+8)
	}
}

// TestUnavailable tells the server's faults from those of the question.
func TestUnavailable(t *testing.T) {
	s := &Store{target: target{servers: "db:5432", user: "app", database: "audit"}}
	for name, tt := range map[string]struct {
		err         error
		unavailable bool
	}{
		"no room":             {&pgconn.PgError{Code: pgerrcode.DiskFull}, true},
		"ends":                {&pgconn.PgError{Code: pgerrcode.AdminShutdown}, true},
		"takes no writes":     {&pgconn.PgError{Code: pgerrcode.ReadOnlySQLTransaction}, true},
		"no right":            {&pgconn.PgError{Code: pgerrcode.InsufficientPrivilege}, true},
		"cut off":             {io.ErrUnexpectedEOF, true},
		"no such database":    {&pgconn.PgError{Code: pgerrcode.InvalidCatalogName}, false},
		"no table":            {&pgconn.PgError{Code: pgerrcode.UndefinedTable}, true},
		"no partition":        {&pgconn.PgError{Code: pgerrcode.CheckViolation}, true},
		"no function":         {&pgconn.PgError{Code: pgerrcode.UndefinedFunction}, true},
		"configuration":       {&pgconn.PgError{Code: pgerrcode.ConfigFileError}, true},
		"a damaged index":     {&pgconn.PgError{Code: pgerrcode.IndexCorrupted}, true},
		"a malformed one":     {&pgconn.PgError{Code: pgerrcode.SyntaxError}, false},
		"a setting":           {&pgconn.PgError{Code: pgerrcode.ProtocolViolation, Message: "unsupported startup parameter"}, true},
		"a bad question":      {&pgconn.PgError{Code: pgerrcode.DivisionByZero}, false},
		"a filter's field":    {&query.FieldError{Field: "ip"}, false},
		"a tail's position":   {store.ErrPosition, false},
		"a missing partition": {errDayGone, false},
	} {
		if got := errors.Is(s.explain(fmt.Errorf("read: %w", tt.err)), store.ErrUnavailable); got != tt.unavailable {
			t.Errorf("%s: unavailable: %t, want %t", name, got, tt.unavailable)
		}
	}
}

// TestRefusedSchema appends events that the database refuses for no fault of
// theirs, though it says that it is: it takes a plain event no more than them,
// so none is quarantined, also where they come one by one.
func TestRefusedSchema(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustExec(t, s, "ALTER TABLE audit_rows ADD CONSTRAINT nothing CHECK (false)")
	events := generated(t, 1, testNow.Add(-time.Hour), 1000)
	for _, batch := range [][]audit.Event{events, events[:1]} {
		if _, err := s.Append(t.Context(), batchOf(batch...)); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append of %d = %v, want ErrUnavailable", len(batch), err)
		}
	}
	if got := ask[int](t, s, "SELECT count(*) FROM audit_quarantine"); got > 0 {
		t.Errorf("%d events are quarantined, want none", got)
	}
	mustExec(t, s, "ALTER TABLE audit_rows DROP CONSTRAINT nothing")
	mustAppend(t, s, store.Appended{Stored: 1000}, events...)
}

// TestRefusedBySQLSTATE has the database refuse one event of a batch with each
// kind of error that there is. Only what the value itself can have caused
// quarantines that one; the others are the server's, and are tried again.
func TestRefusedBySQLSTATE(t *testing.T) {
	s := openAt(t, newDatabase(t))
	mustExec(t, s, `CREATE TABLE refusal (code text, name text);
		INSERT INTO refusal VALUES ('', '');
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE c text; n text;
		BEGIN
			SELECT code, name INTO c, n FROM refusal;
			IF NEW.path = '/poison' AND c <> '' THEN
				RAISE EXCEPTION 'refused' USING ERRCODE = c, CONSTRAINT = n, TABLE = n;
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON audit_rows FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for n, tt := range []struct {
		code, constraint string
		quarantines      bool
	}{
		{pgerrcode.CharacterNotInRepertoire, "", true},
		{pgerrcode.UntranslatableCharacter, "", true},
		{pgerrcode.NumericValueOutOfRange, "", true},
		{pgerrcode.StringDataRightTruncationDataException, "", true},
		{pgerrcode.DatetimeFieldOverflow, "", true},
		{pgerrcode.InvalidTextRepresentation, "", true},
		{pgerrcode.CheckViolation, "audit_rows_path", true},
		{pgerrcode.ProgramLimitExceeded, "audit_rows_key", true},

		{pgerrcode.CheckViolation, "", false}, // a partition is missing
		{pgerrcode.NotNullViolation, "", false},
		{pgerrcode.ForeignKeyViolation, "fk", false},
		{pgerrcode.UniqueViolation, "key", false},
		{pgerrcode.ProgramLimitExceeded, "", false}, // out of transaction numbers
		{pgerrcode.StatementTooComplex, "", false},
		{pgerrcode.InvalidParameterValue, "", false},
		{pgerrcode.BadCopyFileFormat, "", false},
		{pgerrcode.UndefinedTable, "", false},
		{pgerrcode.UndefinedColumn, "", false},
		{pgerrcode.UndefinedFunction, "", false},
		{pgerrcode.UndefinedObject, "", false},
		{pgerrcode.InvalidSchemaName, "", false},
		{pgerrcode.WrongObjectType, "", false},
		{pgerrcode.InsufficientPrivilege, "", false},
		{pgerrcode.FeatureNotSupported, "", false},
		{pgerrcode.ObjectNotInPrerequisiteState, "", false},
		{pgerrcode.LockNotAvailable, "", false},
		{pgerrcode.DiskFull, "", false},
		{pgerrcode.OutOfMemory, "", false},
		{pgerrcode.ConfigurationLimitExceeded, "", false},
		{pgerrcode.QueryCanceled, "", false},
		{pgerrcode.ReadOnlySQLTransaction, "", false},
		{pgerrcode.IOError, "", false},
		{pgerrcode.ConfigFileError, "", false},
		{pgerrcode.InternalError, "", false},
		{pgerrcode.DataCorrupted, "", false},
		{pgerrcode.RaiseException, "", false},
		{pgerrcode.TriggeredActionException, "", false},
	} {
		events := []audit.Event{plain(3*n, testNow), plain(3*n+1, testNow), plain(3*n+2, testNow)}
		events[1].Path = "/poison"
		mustExec(t, s, "UPDATE refusal SET code = $1, name = $2", tt.code, tt.constraint)
		got, err := s.Append(t.Context(), batchOf(events...))
		if tt.quarantines {
			if want := (store.Appended{Stored: 2, Quarantined: 1}); err != nil || got != want {
				t.Errorf("%s %q: Append = %+v, %v; want %+v", tt.code, tt.constraint, got, err, want)
			}
			continue
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s %q: Append = %+v, %v; want ErrUnavailable", tt.code, tt.constraint, got, err)
		}
		mustExec(t, s, "UPDATE refusal SET code = ''")
		mustAppend(t, s, store.Appended{Stored: 3}, events...)
	}
}

// TestCommitWaitsForADay appends an event of a new day while somebody else
// makes it, for longer than a commit waits at a time: it is tried again.
func TestCommitWaitsForADay(t *testing.T) {
	s := openAt(t, newDatabase(t))
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if _, err := tx.Exec(t.Context(), createDay, audit.Day(testNow)); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	group.Go(func() error {
		_, err := s.Append(t.Context(), batchOf(plain(1, testNow)))
		return err
	})
	waits := "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%audit_create_day%' AND query_start > $1)"
	deadline := time.Now().Add(10 * time.Second)
	until := func(since time.Time) time.Time {
		for !ask[bool](t, s, waits, since) {
			if time.Now().After(deadline) {
				t.Fatal("the commit does not wait for the day again")
			}
		}
		return ask[time.Time](t, s, "SELECT clock_timestamp()")
	}
	until(until(time.Time{})) // it waits a second time
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Errorf("Append = %v", err)
	}
}

// TestDeadConnection cuts the connections that wait for work: nobody who
// appends notices.
func TestDeadConnection(t *testing.T) {
	s := openAt(t, newDatabase(t))
	for n := range 3 {
		mustAppend(t, s, store.Appended{Stored: 1}, plain(n, testNow))
		mustExec(t, s, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}
}

// TestLostAnswer kills the server when a commit is durable there, but still
// waits for a standby: that it succeeded is never told. Sent again, nothing is
// doubled.
func TestLostAnswer(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	url := server.Database(t)
	if err := Migrate(t.Context(), url, logr.Discard()); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, url)
	server.Configure(t, map[string]string{"synchronous_standby_names": "nobody"})
	events := generated(t, 1, testNow.Add(-time.Hour), 100)
	var group errgroup.Group
	group.Go(func() error {
		_, err := s.Append(t.Context(), batchOf(events...))
		return err
	})
	waits := false
	for deadline := time.Now().Add(10 * time.Second); !waits && time.Now().Before(deadline); {
		waits = postgrestest.Query[bool](t, server, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT')")
	}
	server.Kill(t)
	if err := group.Wait(); !errors.Is(err, store.ErrUnavailable) || !waits {
		t.Fatalf("Append = %v, want ErrUnavailable; its commit waited for a standby: %v", err, waits)
	}
	server.Configure(t, map[string]string{"synchronous_standby_names": ""})
	server.Restart(t)
	s.pool.Reset() // its connections are dead, which the test is not about
	if got := ask[int](t, s, "SELECT count(*) FROM audit_rows"); got != 100 {
		t.Fatalf("%d events are stored, want 100: the commit did not succeed, so this tests nothing", got)
	}
	mustAppend(t, s, store.Appended{Duplicate: 100}, events...)
	checkRollups(t, s)
	if got, err := s.Sources(t.Context()); err != nil || got[0].Stored != 100 {
		t.Errorf("Sources = %+v, %v; want 100 stored", got, err)
	}
}
