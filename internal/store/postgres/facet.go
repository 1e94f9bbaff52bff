package postgres

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// dimension says where the values of a facet are: in a column of a dictionary
// (d), which rows and roll-ups refer to by a key, or in one of rows (r).
type dimension struct {
	dictionary, key string
	column          string
	missing         string // the column's value where an event lacks the field
}

var dimensions = map[query.Dimension]dimension{
	query.ByResourceType: {"audit_kinds", "kind_id", "d.resource_type", "''"},
	query.ByActor:        {"audit_actors", "actor_id", "d.actor", "''"},
	query.ByMethod:       {"audit_kinds", "kind_id", "d.method", "''"},
	query.ByAction:       {"audit_kinds", "kind_id", "d.action", "''"},
	query.ByIP:           {"", "", "r.ip", "NULL"},
	query.ByStatusCode:   {"audit_kinds", "kind_id", "d.status_code", "0"},
	query.ByResourceName: {"", "", "r.resource_name", "''"},
	query.ByCluster:      {"audit_places", "place_id", "d.cluster", "''"},
	query.ByClient:       {"audit_kinds", "kind_id", "d.client", "''"},
	query.ByStage:        {"audit_kinds", "kind_id", "d.stage", "''"},
	query.ByNamespace:    {"audit_places", "place_id", "d.namespace", "''"},
	query.BySource:       {"audit_agents", ofAgents, "d.source", "''"},
}

// Facet implements store.Reader.
func (s *Store) Facet(ctx context.Context, scope query.Scope, req store.FacetRequest) (store.Facet, error) {
	dim, ok := dimensions[req.Dimension]
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
	if d.dictionary == "" {
		return nil
	}
	return c.shares(d.key)
}

// values counts by the values of a dimension that contain a text.
func (n *counter) values(ctx context.Context, d dimension, contains string, limit int) ([]store.FacetValue, error) {
	from := "audit_rows r WHERE " + n.tx.during(n.where, n.window) + " AND " + n.ofRows()
	counted := "count(*)"
	if d.dictionary != "" {
		from = "(SELECT id, sum(n) AS n FROM (" + n.byKey(d.key) + ") AS parts GROUP BY id) AS counts JOIN " + d.dictionary + " AS d USING (id) WHERE TRUE"
		counted = "sum(n)::bigint"
	}
	limited, ofValue := " LIMIT "+n.bind(limit), ""
	switch {
	case strings.TrimSpace(contains) == "":
	case d.column == "r.ip": // the database writes some addresses in its own way
		limited, ofValue = "", strings.ToLower(contains)
	default:
		from += " AND " + n.newNeedle(contains).in("("+d.column+"::text COLLATE \"C\")")
	}
	shown := d.column
	if d.missing == "''" {
		shown = leftOf(shown, store.MaxText)
	}
	rows, err := n.tx.Query(ctx, "SELECT "+shown+", "+counted+" FROM "+from+" AND "+d.column+" IS DISTINCT FROM "+d.missing+
		" GROUP BY "+d.column+" HAVING "+counted+" > 0 ORDER BY 2 DESC, "+d.column+limited, n.args)
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
