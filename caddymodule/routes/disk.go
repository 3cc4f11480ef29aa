package routes

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/routes/snapshot"
	"github.com/seed-dbc68772/slipway/routing"
)

// load reads the snapshot and publishes it if the store does not come in time.
func (l *Live) load(ctx context.Context, folder *snapshot.Folder) {
	began := time.Now()
	header, table, err := folder.Load(l.config.Prefix)
	switch {
	case table == nil && err != nil:
		l.log.Error("no snapshot of the routes can be used; without the store there are none", zap.Error(err))
	case err != nil:
		l.log.Error("a snapshot of the routes cannot be used, the one before it is", zap.Error(err))
	}
	l.mu.Lock()
	l.old, l.oldOf = table, header
	l.mu.Unlock()
	close(l.loaded)
	if table == nil {
		return
	}
	if l.awaitFirst(ctx, began.Add(l.config.FirstWait)) {
		return
	}
	if l.heard.Load() != 0 && l.awaitFirst(ctx, began.Add(l.config.FirstWait+l.config.ListWait)) {
		return
	}
	l.mu.Lock()
	if l.table.Load() == nil {
		l.cluster = header.Cluster
		l.publish(table, FromSnapshot)
		instances, aliases := table.Len()
		l.log.Warn("the store does not come, serving from the snapshot", zap.Int64("revision", table.Revision()),
			zap.Int("instances", instances), zap.Int("aliases", aliases))
	}
	l.mu.Unlock()
	// Nobody waits for an instance in a table that is the first.
}

// awaitFirst reports whether there is a table, or no need of one, by then.
func (l *Live) awaitFirst(ctx context.Context, then time.Time) bool {
	select {
	case <-l.first:
		return true
	case <-ctx.Done():
		return true
	case <-time.After(time.Until(then)):
		return false
	}
}

const (
	// saveShare is how many times as long as saving took nothing is saved: it
	// never costs more than 2 % of a core.
	saveShare = 50
	// warnEvery is how often a disk that takes no snapshot is complained of.
	warnEvery = time.Minute
)

// keep saves the table after changes, until ctx ends, and then once more.
func (l *Live) keep(ctx context.Context, folder *snapshot.Folder) {
	var (
		saved  *routing.Table
		warned time.Time
	)
	save := func() (took time.Duration) {
		l.mu.Lock()
		table, header := l.table.Load(), snapshot.Header{Cluster: l.cluster, Prefix: l.config.Prefix}
		ours := l.origin == FromStore
		l.mu.Unlock()
		if table == nil || !ours || table == saved {
			return 0
		}
		began := time.Now()
		if err := folder.Save(header, table); err != nil {
			if time.Since(warned) >= warnEvery {
				warned = time.Now()
				l.log.Warn("the routes cannot be saved; they are served all the same", zap.Error(err))
			}
			signal(l.dirty) // again, after the pause
			return time.Since(began)
		}
		saved, warned = table, time.Time{}
		return time.Since(began)
	}
	for {
		select {
		case <-l.dirty:
		case <-ctx.Done():
			save()
			return
		}
		pause := max(l.config.SaveEvery, saveShare*save())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}
