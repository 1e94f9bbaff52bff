package faultfs

import (
	"maps"
	"math/rand/v2"
)

// names are a directory's: as they are now, as they were at its last fsync,
// and what happened between.
type names struct {
	live    map[string]*inode
	durable map[string]*inode
	changes []change
}

// change gives a name to a file, takes it from one, or both at once.
type change struct {
	give, take string
	file       *inode
}

func newNames(entries map[string]*inode) names {
	return names{live: entries, durable: maps.Clone(entries)}
}

func (d *names) add(name string, file *inode) { d.do(change{give: name, file: file}) }

func (d *names) remove(name string) { d.do(change{take: name}) }

func (d *names) rename(from, to string) { d.do(change{give: to, take: from, file: d.live[from]}) }

func (d *names) do(c change) {
	c.apply(d.live)
	d.changes = append(d.changes, c)
}

func (c change) apply(entries map[string]*inode) {
	if c.take != "" {
		delete(entries, c.take)
	}
	if c.give != "" {
		entries[c.give] = c.file
	}
}

func (d *names) sync() {
	d.durable = maps.Clone(d.live)
	d.changes = nil
}

// survivor returns the names that a power cut leaves: the synced ones, and with
// a source of chance any of the changes since.
func (d *names) survivor(chance *rand.Rand) map[string]*inode {
	left := maps.Clone(d.durable)
	for _, c := range d.changes {
		if chance != nil && chance.IntN(2) == 0 {
			c.apply(left)
		}
	}
	return left
}
