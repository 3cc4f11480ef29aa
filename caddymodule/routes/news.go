package routes

import (
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// Changes is what is otherwise in a table than in the one before it.
type Changes struct {
	Revision  int64
	Instances []routing.ID
	// Progress are the instances of whose starts there is other news.
	Progress []routing.ID
	// Limits are the names of the records by which somebody starts nothing for
	// now, or starts again.
	Limits []string
}

// add notes a change.
func (c *Changes) add(change routing.Change) {
	if id, ok := change.Instance(); ok {
		c.Instances = append(c.Instances, id)
		return
	}
	name, ok := change.Record()
	if !ok {
		return
	}
	if id, ok := etcdstore.ProgressOf(name); ok {
		c.Progress = append(c.Progress, id)
	} else if etcdstore.IsLimit(name) {
		c.Limits = append(c.Limits, name)
	}
}

// and is both, at the revision of the later.
func (c Changes) and(later Changes) Changes {
	return Changes{
		Revision:  later.Revision,
		Instances: append(c.Instances, later.Instances...),
		Progress:  append(c.Progress, later.Progress...),
		Limits:    append(c.Limits, later.Limits...),
	}
}
