package etcdstore

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// alarm is a reason for a list, from a heartbeat that was compared with what
// the feed had seen since one list.
type alarm struct {
	why  Reason
	list int
}

// beat asks the store for something small, again and again: only so a feed
// learns in time that nobody is there, or that another store is. A watch tells
// neither: it waits in silence for a revision that is to come.
func (f *feed) beat(ctx context.Context) {
	for answered := true; ctx.Err() == nil; {
		pause, now := f.config.Heartbeat, f.ask(ctx)
		if !now {
			pause /= 4
		}
		if now && !answered {
			select {
			case f.back <- struct{}{}:
			default: // the feed has not taken up the last one
			}
		}
		answered = now
		sleep(ctx, pause)
	}
}

func (f *feed) ask(ctx context.Context) bool {
	// What the feed knew before the question is what a linearizable answer
	// must know too.
	before := f.now()
	call, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	resp, err := f.store.client.Get(call, f.prefix, clientv3.WithCountOnly())
	if ctx.Err() != nil {
		return false
	}
	f.config.Heard(err == nil)
	if err != nil {
		return false
	}
	a := alarm{list: before.list}
	switch h := resp.Header; {
	case before.list == 0:
	case h.ClusterId != before.cluster:
		a.why = Replaced
	case h.Revision < before.revision || h.RaftTerm < before.term:
		a.why = Restored
	}
	if a.why != "" {
		select {
		case f.alarms <- a:
		case <-time.After(f.config.Heartbeat): // the feed is busy; the next one finds the same
		case <-ctx.Done():
		}
	}
	return true
}
