package postgres

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/store/postgres/postgrestest"
	"github.com/porter-dev/audit-operator/internal/store/storetest"
)

// The store passes the suites as the role that an operator runs as, which may do
// no more than it has to.
func TestStore(t *testing.T) { storetest.Run(t, asOperator(t)) }

func TestHoldings(t *testing.T) { storetest.RunHoldings(t, asOperator(t)) }

func asOperator(t *testing.T) func(t *testing.T, opts storetest.Options) store.Store {
	operator := newRole(t)
	return func(t *testing.T, opts storetest.Options) store.Store {
		url := postgrestest.Shared(t).DatabaseNamed(t, opts.Dir)
		if err := errors.Join(Migrate(t.Context(), url, logr.Discard()), Grant(t.Context(), url, Roles{Operator: operator})); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{URL: as(t, url, operator), Now: opts.Now, Retention: opts.Retention, SnapshotQuota: opts.SnapshotQuota, Log: testr.New(t)})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		return &merging{Store: s, t: t}
	}
}

// merging adds up one more commit's deltas before each tenth read that counts,
// so that the suite sees roll-ups of all degrees: nothing merged, a part, all.
type merging struct {
	*Store
	t     *testing.T
	reads atomic.Int64
}

func (m *merging) View(ctx context.Context, scope query.Scope, req store.ViewRequest) (store.View, error) {
	m.mergeOne()
	return m.Store.View(ctx, scope, req)
}

func (m *merging) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	m.mergeOne()
	return m.Store.Facet(ctx, scope, req)
}

func (m *merging) Capture(ctx context.Context, scope query.Scope, req store.CaptureRequest, row func(*audit.Event) error) (store.Capture, error) {
	m.mergeOne()
	return m.Store.Capture(ctx, scope, req, row)
}

func (m *merging) mergeOne() {
	m.t.Helper()
	if m.reads.Add(1)%10 != 0 {
		return
	}
	err := m.call(m.t.Context(), func(ctx context.Context) error {
		return m.exclusively(ctx, func(tx pgx.Tx) error {
			var day time.Time
			if err := tx.QueryRow(ctx, "SELECT day FROM audit_rollup_deltas JOIN audit_days USING (day) LIMIT 1").Scan(&day); err != nil {
				return err
			}
			_, err := mergeDay(ctx, tx, day, 1)
			return err
		})
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, store.ErrClosed) {
		m.t.Errorf("merge a delta: %v", err)
	}
}
