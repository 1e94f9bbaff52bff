package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// choice is a condition of which the dictionaries have been asked.
type choice struct {
	*where
	kinds, places, actors, agents members
	// found are the actors that the search finds.
	found members
}

// members are the entries of a dictionary that its terms match.
type members struct {
	all, none bool
	test      string // what follows a column that refers to an entry
	others    string // the same for those that don't match, where they are few
}

// on are the terms on a column that refers to the dictionary.
func (m members) on(column string) []string {
	switch {
	case m.none:
		return []string{"FALSE"}
	case m.all:
		return nil
	}
	return []string{column + m.test}
}

// fewMembers are told to the planner one by one, which looks at each of them
// for each partition.
const fewMembers = 100

// choose asks the dictionaries, once and in one round trip.
func (tx *readTx) choose(ctx context.Context, c *where) (*choice, error) {
	if c.chosen != nil {
		return c.chosen, nil
	}
	chosen := &choice{where: c}
	batch := &pgx.Batch{}
	c.queueMembers(batch, &chosen.kinds, "audit_kinds k", "k.id", c.kinds)
	c.queueMembers(batch, &chosen.places, "audit_places p", "p.id", c.places)
	c.queueMembers(batch, &chosen.actors, "audit_actors a", "a.id", c.actors)
	c.queueMembers(batch, &chosen.agents, "audit_agents g", "g.id", c.agents)
	if c.search != nil {
		c.queueMembers(batch, &chosen.found, "audit_actors a", "a.id", []string{c.search.in("a.actor")})
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, err
	}
	c.chosen = chosen
	return chosen, nil
}

// queueMembers asks for how many entries the terms hold, and for how many they
// don't, with the IDs of what is few.
func (c *where) queueMembers(batch *pgx.Batch, to *members, table, id string, terms []string) {
	if len(terms) == 0 {
		to.all = true
		return
	}
	match := strings.Join(terms, " AND ")
	batch.Queue("SELECT matches, count(*), CASE WHEN count(*) <= "+c.bind(fewMembers)+" THEN array_agg(id) END FROM (SELECT "+
		id+", "+match+" AS matches FROM "+table+") AS entries GROUP BY matches", c.args).Query(func(rows pgx.Rows) error {
		var count, ids = map[bool]int64{}, map[bool][]int32{}
		for rows.Next() {
			var matches bool
			var n int64
			var few []int32
			if err := rows.Scan(&matches, &n, &few); err != nil {
				return err
			}
			count[matches], ids[matches] = n, few
		}
		to.none, to.all = count[true] == 0, count[true] > 0 && count[false] == 0
		switch {
		case ids[true] != nil:
			to.test = " = ANY(" + c.bind(ids[true]) + "::integer[])"
		case ids[false] != nil:
			others := c.bind(ids[false]) + "::integer[])"
			to.test, to.others = " <> ALL("+others, " = ANY("+others
		default:
			to.test = " IN (SELECT " + id + " FROM " + table + " WHERE " + match + ")"
		}
		return rows.Err()
	})
}

// none reports whether no event can match.
func (c *choice) none() bool { return c.kinds.none || c.places.none || c.actors.none || c.agents.none }

// ofRows is the condition on rows.
func (c *choice) ofRows() string {
	terms := slices.Concat(c.kinds.on("r.kind_id"), c.places.on("r.place_id"), c.actors.on("r.actor_id"), c.agents.on("r.agent_id"), c.rows)
	if c.search != nil && !c.found.all {
		terms = append(terms, c.search.inRow(allOf(c.found.on("r.actor_id"))))
	}
	return allOf(terms)
}
