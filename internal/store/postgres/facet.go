package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// dimension says where the values of a facet are.
type dimension struct {
	column
	missing string // the column's value where an event lacks the field
}

func dimensionOf(d query.Dimension) (dimension, bool) {
	at, ok := columnOf[string(d)]
	missing := "''"
	switch d {
	case query.ByIP:
		missing = "NULL"
	case query.ByStatusCode:
		missing = "0"
	}
	return dimension{at, missing}, ok && slices.Contains(query.Dimensions, d)
}

// Facet implements store.Reader.
func (s *Store) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	dim, ok := dimensionOf(req.Dimension)
	if !ok {
		return store.Facet{}, fmt.Errorf("facet: no dimension %q", req.Dimension)
	}
	filter := req.Filter.Without(req.Dimension)
	req.Window = store.InScope(scope, req.Window)
	var facet store.Facet
	err := s.read(ctx, "store.facet", func(ctx context.Context, tx *readTx) error {
		facet.AsOf = tx.asOf
		cond, err := newWhere(scope, &filter, req.Window.From)
		if err != nil {
			return err
		}
		if facet.Quarantined, err = tx.quarantined(ctx, scope, req.Window); err != nil {
			return err
		}
		chosen, err := tx.choose(ctx, cond)
		if err != nil || chosen.none() {
			return err
		}
		n := tx.newCounter(chosen, req.Window, dim.shares(chosen))
		if isEmpty(n.window) || req.Limit <= 0 {
			return nil
		}
		facet.Values, err = n.values(ctx, dim, req.Contains, min(req.Limit, store.MaxPage))
		return err
	})
	if err != nil {
		return store.Facet{}, fmt.Errorf("facet %s: %w", req.Dimension, err)
	}
	return facet, nil
}

func (d dimension) shares(c *choice) []share {
	if d.table == ofRows {
		return nil
	}
	return c.shares(d.key)
}

// values counts by the values of a dimension that contain a text.
func (n *counter) values(ctx context.Context, d dimension, contains string, limit int) ([]store.FacetValue, error) {
	from := "audit_rows r WHERE " + n.tx.during(n.where, n.window) + " AND " + n.ofRows()
	counted := "count(*)"
	if d.table != ofRows {
		from = "(SELECT id, sum(n) AS n FROM (" + n.byKey(d.key) + ") AS parts GROUP BY id) AS counts JOIN " + d.name + " AS " + d.alias + " USING (id)" + d.lateral + " WHERE TRUE"
		counted = "sum(n)::bigint"
	}
	limited, ofValue := " LIMIT "+n.bind(limit), ""
	switch {
	case strings.TrimSpace(contains) == "":
	case d.missing == "NULL": // the database writes some addresses in its own way
		limited, ofValue = "", strings.ToLower(contains)
	default:
		from += " AND " + n.newNeedle(contains).in("("+d.sql+"::text COLLATE \"C\")")
	}
	shown := d.sql
	if d.missing == "''" {
		shown = leftOf(shown, store.MaxText)
	}
	rows, err := n.tx.Query(ctx, "SELECT "+shown+", "+counted+" FROM "+from+" AND "+d.sql+" IS DISTINCT FROM "+d.missing+
		" GROUP BY "+d.sql+" HAVING "+counted+" > 0 ORDER BY 2 DESC, "+d.sql+limited, n.args)
	if err != nil {
		return nil, err
	}
	var value any
	var count int64
	var values []store.FacetValue
	_, err = pgx.ForEachRow(rows, []any{&value, &count}, func() error {
		v := store.FacetValue{Count: count}
		switch value := value.(type) {
		case netip.Prefix: // of one address
			v.Value = value.Addr().String()
		case int32:
			v.Value = strconv.Itoa(int(value))
		case string:
			v.Value = value
		}
		if len(values) < limit && strings.Contains(v.Value, ofValue) || ofValue == "" {
			values = append(values, v)
		}
		return nil
	})
	return values, err
}
