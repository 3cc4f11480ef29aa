package hold

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// House is where a room is: the route table, and the store that intents go to.
type House interface {
	// Instance finds an instance in the current route table.
	Instance(id routing.ID) *routing.Instance
	// Progress is what the table has of an instance's start; nil: nothing.
	Progress(in *routing.Instance) *controlplane.Progress
	// Limited tells until when visits by somebody start nothing.
	Limited(v controlplane.Visitor) (until time.Time, limited bool)
	// Wake registers the intent to wake an instance. Edge and time are the
	// house's to fill in.
	Wake(ctx context.Context, intent controlplane.WakeIntent) error
}

// The defaults of the settings waiters_per_instance and waiters_per_edge.
const (
	defaultPerInstance = 10_000
	defaultPerEdge     = 50_000
)

// refusalDelay is how long a FAILED instance may take to be started again for
// a visitor: longer, and its back-off is not over.
const refusalDelay = 500 * time.Millisecond

// A crowd of so many waiters leaves memory that a process with little else to do
// would not give back for minutes. Once they have had their answers it is.
const (
	crowd      = 1000
	crowdPause = 30 * time.Second
)

// intentFresh is for how long a registered intent is taken to be there still:
// it is taken back while a back-off lasts, and expires if nobody takes it up.
// After that it is registered again, for an instance that has visitors must be
// woken.
const intentFresh = 5 * time.Second

// Room holds the requests that wait, for all instances.
type Room struct {
	house                House
	perInstance, perEdge atomic.Int64

	mu      sync.Mutex
	groups  map[routing.ID]*group
	waiters int64
	most    int64       // waiters at a time, since the last crowd
	tidy    *time.Timer // runs giveBack after a crowd
}

// group is the requests that wait for one instance.
type group struct {
	id      routing.ID
	waiters int64
	changed chan struct{} // closed at the next change of the route, or of an attempt
	told    chan struct{} // closed at the next news of a start
	last    *attempt      // to register the intent; nil: none yet, or it was taken back
	renewal *time.Timer   // releases all when the intent is not fresh any more
}

// attempt is one registration of the intent, for all who waited for it then.
// Its outcome is nobody else's: who comes after a failed one makes another.
type attempt struct {
	generation int64 // of the instance when it began
	began      time.Time
	intent     controlplane.WakeIntent
	done       bool
	err        error
}

// New makes an empty room.
func New(house House) *Room {
	r := &Room{house: house, groups: map[routing.ID]*group{}}
	r.SetLimits(defaultPerInstance, defaultPerEdge)
	return r
}

// SetLimits says how many requests may wait for one instance, and for all.
func (r *Room) SetLimits(perInstance, perEdge int64) {
	r.perInstance.Store(perInstance)
	r.perEdge.Store(perEdge)
}

// Changed releases the requests that wait for these instances, to look again.
// It is called after the new route table is visible.
func (r *Room) Changed(ids []routing.ID) { r.each(ids, (*group).release) }

// Told releases those who watch the starts of these instances.
func (r *Room) Told(ids []routing.ID) { r.each(ids, (*group).tell) }

func (r *Room) each(ids []routing.ID, do func(*group)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.groups) == 0 {
		return
	}
	for _, id := range ids {
		if g := r.groups[id]; g != nil {
			do(g)
		}
	}
}

// Limited is called when visits by some start nothing for now: intents of
// theirs are taken back, and who else waits wakes in their stead.
func (r *Room) Limited(affects func(controlplane.Visitor) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.groups {
		if g.last != nil && affects(g.last.intent.Visitor) {
			g.last = nil
			g.release()
		}
	}
}

func (g *group) release() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *group) tell() {
	close(g.told)
	g.told = make(chan struct{})
}

// Waiters returns how many requests wait.
func (r *Room) Waiters() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waiters
}

// join takes a place; with unlimited, there always is one.
func (r *Room) join(id routing.ID, unlimited bool) (*group, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[id]
	if !unlimited {
		switch {
		case r.waiters >= r.perEdge.Load():
			return nil, &FullError{Edge: true}
		case g != nil && g.waiters >= r.perInstance.Load():
			return nil, &FullError{}
		}
	}
	if g == nil {
		g = &group{id: id, changed: make(chan struct{}), told: make(chan struct{})}
		r.groups[id] = g
	}
	g.waiters++
	r.waiters++
	r.most = max(r.most, r.waiters)
	return g, nil
}

func (r *Room) leave(id routing.ID, g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
	if g.waiters--; g.waiters == 0 {
		delete(r.groups, id)
		if g.renewal != nil {
			g.renewal.Stop()
		}
	}
	r.dissolve()
}

// dissolve has the memory of a crowd given back some time after its last member
// has left. The mutex is held.
func (r *Room) dissolve() {
	if r.waiters > 0 || r.most < crowd {
		return
	}
	r.most = 0
	if r.tidy == nil {
		r.tidy = time.AfterFunc(crowdPause, giveBack)
	}
	r.tidy.Reset(crowdPause)
}

// giveBack collects twice: pools keep what they have over one collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// next are closed at the next change, and at the next news of a start. They are
// taken before the table is looked at, so that nothing is missed in between.
func (r *Room) next(g *group) (changed, told <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.changed, g.told
}
