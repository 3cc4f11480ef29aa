package activity

import (
	"maps"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// shardCount keeps the copies small that the first visits of many instances
// make.
const shardCount = 256

// Meters are those of all instances.
type Meters struct {
	began time.Time
	turn  atomic.Uint32 // of intervals of reports
	news  func()

	shards [shardCount]shard

	mu       sync.Mutex
	revision int64 // of the last change that was told
	marked   map[routing.ID]*meter
}

// shard is a map that is replaced by a copy for each change.
type shard struct {
	meters atomic.Pointer[map[routing.ID]*meter]
	mu     sync.Mutex // of those who replace it
}

// New makes the meters. News is called when Draining has something else than
// before that nobody knows by himself; it must not wait.
func New(news func()) *Meters {
	return &Meters{began: time.Now(), news: news, marked: map[routing.ID]*meter{}}
}

// at is a time in milliseconds, from 1.
func (ms *Meters) at(t time.Time) int64 { return max(0, t.Sub(ms.began).Milliseconds()) + 1 }

// Begin counts a request at the instance. A quiet one keeps nothing awake.
func (ms *Meters) Begin(in *routing.Instance, quiet bool) Use {
	lane := uint8(ms.turn.Load() % 2)
	if quiet {
		lane = quietLane
	}
	for {
		if m := ms.of(in.ID); m.begin(lane) {
			return Use{meter: m, generation: in.Generation, lane: lane}
		}
		runtime.Gosched() // it is about to be out of its map
	}
}

func (ms *Meters) shard(id routing.ID) *shard { return &ms.shards[id[0]^id[7]^id[15]] }

// find returns the instance's meter, or nil.
func (ms *Meters) find(id routing.ID) *meter {
	if all := ms.shard(id).meters.Load(); all != nil {
		return (*all)[id]
	}
	return nil
}

func (ms *Meters) of(id routing.ID) *meter {
	if m := ms.find(id); m != nil {
		return m
	}
	s := ms.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := ms.find(id); m != nil {
		return m
	}
	m := &meter{all: ms, id: id}
	s.replace(func(all map[routing.ID]*meter) { all[id] = m })
	return m
}

// replace makes a changed copy of the map. The caller holds mu.
func (s *shard) replace(change func(map[routing.ID]*meter)) {
	all := map[routing.ID]*meter{}
	if was := s.meters.Load(); was != nil {
		all = maps.Clone(*was)
	}
	change(all)
	s.meters.Store(&all)
}

// retire forgets a meter, unless something is under way.
func (ms *Meters) retire(m *meter) {
	s := ms.shard(m.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.open.CompareAndSwap(0, retired) {
		s.replace(func(all map[routing.ID]*meter) { delete(all, m.id) })
	}
}

// Changed tells of the instances that are otherwise in the table since it has
// this revision. LookUp reads the table, which is visible already.
func (ms *Meters) Changed(revision int64, ids []routing.ID, lookUp func(routing.ID) *routing.Instance) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.revision = revision
	for _, id := range ids {
		in := lookUp(id)
		m, isMarked := ms.marked[id]
		switch marks := in != nil && in.Status == routing.Suspending; {
		case marks && !isMarked:
			// It may have no meter yet, and a request that is about to lose may
			// make one: who waits must be told of its end.
			m = ms.of(id)
			m.draining.Store(ms.at(time.Now()))
			ms.marked[id] = m
		case !marks && isMarked:
			m.draining.Store(0)
			delete(ms.marked, id)
		}
		if m == nil {
			m = ms.find(id)
		}
		if m != nil {
			m.stop(stopped(in))
		}
	}
}

// stopped is up to which generation an instance has stopped.
func stopped(in *routing.Instance) int64 {
	switch {
	case in == nil:
		return math.MaxInt64
	case in.Status == routing.Suspended, in.Stopping:
		return in.Generation
	}
	return in.Generation - 1
}
