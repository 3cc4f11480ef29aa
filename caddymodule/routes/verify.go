package routes

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// verifyAll compares table and store again and again, until ctx ends.
func (l *Live) verifyAll(ctx context.Context, source Source) {
	for {
		// 0.8 to 1.2 of it: edges that started together drift apart.
		pause := time.Duration((0.8 + 0.4*l.config.Rand()) * float64(l.config.VerifyEvery))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		if err := l.verify(ctx, source); err != nil && ctx.Err() == nil {
			l.log.Warn("the route table could not be compared with the store", zap.Error(err))
		}
	}
}

// verify compares the table with a list of the store at the table's revision.
// Tables do not change, so the watch goes on meanwhile.
func (l *Live) verify(ctx context.Context, source Source) error {
	l.mu.Lock()
	table, settled := l.table.Load(), l.origin == FromStore && l.held.len() == 0
	l.mu.Unlock()
	if table == nil || !settled {
		return nil
	}
	d := drift{table: table, read: l.read}
	err := source.ListAt(ctx, etcdstore.RoutesPrefix, table.Revision(), d.compare)
	if errors.Is(err, etcdstore.ErrCompacted) {
		// Nothing has changed for longer than the store remembers.
		signal(l.relist)
		return nil
	}
	if err != nil {
		return err
	}
	instances, aliases := table.Len()
	policies, records := table.LenOthers()
	lacking := instances + aliases + policies + records - d.found
	if d.differs == 0 && lacking == 0 {
		return l.wantProgress(ctx, source, table.Revision())
	}
	l.mu.Lock()
	l.counts.drift += int64(d.differs + lacking)
	l.mu.Unlock()
	l.log.Error("the route table is not what the store says; it is listed anew", zap.Int64("revision", table.Revision()),
		zap.Int("differ", d.differs), zap.Int("gone", lacking), zap.Strings("keys", d.keys))
	signal(l.relist)
	return nil
}

// wantProgress finds a watch that is open and says nothing: the store has a
// record that is newer than a table which stays as it is.
func (l *Live) wantProgress(ctx context.Context, source Source, revision int64) error {
	if newer, err := source.Newer(ctx, etcdstore.RoutesPrefix, revision); !newer || err != nil {
		return err
	}
	select {
	case <-time.After(l.config.StuckAfter):
	case <-ctx.Done():
		return nil
	}
	if l.Table().Revision() > revision {
		return nil
	}
	l.log.Error("the store has routes that its watch does not tell of; they are listed anew", zap.Int64("revision", revision))
	signal(l.relist)
	return nil
}

type drift struct {
	table   *routing.Table
	read    reader
	found   int // records of the table that are listed
	differs int // listed records that the table has otherwise, or not at all
	keys    []string
}

// maxDriftKeys is how many keys the log names.
const maxDriftKeys = 10

func (d *drift) compare(page []etcdstore.Event) error {
	for _, e := range page {
		change, ok, err := d.read(e)
		if err == nil && !ok {
			continue
		}
		if id, isInstance := etcdstore.RouteInstance(e.Key); isInstance && d.table.Instance(id) != nil {
			d.found++
		} else if name, isAlias := etcdstore.RouteAlias(e.Key); isAlias && d.table.Alias(name) != nil {
			d.found++
		} else if app, isPolicy := etcdstore.RoutePolicy(e.Key); isPolicy && d.table.Policy(app) != nil {
			d.found++
		} else if name, isRecord := etcdstore.RouteRecord(e.Key); isRecord && d.table.Record(name) != nil {
			d.found++
		}
		if err != nil || d.table.Has(change) {
			continue // of what is refused the last good one stays
		}
		if d.differs++; len(d.keys) < maxDriftKeys {
			d.keys = append(d.keys, e.Key)
		}
	}
	return nil
}
