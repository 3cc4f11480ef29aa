package hold

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
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

// Limits say how many requests may wait: the settings waiters_per_instance,
// waiters_per_source and waiters_per_edge.
type Limits struct {
	Instance, Source, Edge int64
}

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
	house House

	mu      sync.Mutex
	limits  Limits
	groups  map[routing.ID]*group
	sources map[string]int64 // waiters by counted source; those without are not there
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

// New makes an empty room, without limits.
func New(house House) *Room {
	return &Room{
		house: house, groups: map[routing.ID]*group{}, sources: map[string]int64{},
		limits: Limits{math.MaxInt64, math.MaxInt64, math.MaxInt64},
	}
}

// SetLimits says how many requests may wait from now on; who waits goes on.
func (r *Room) SetLimits(limits Limits) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = limits
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

// join takes a place for a visitor from that source, if there is one.
func (r *Room) join(id routing.ID, source string) (*group, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[id]
	switch {
	case r.sources[source] >= r.limits.Source:
		return nil, &FullError{Taken: PlacesOfSource}
	case r.waiters >= r.limits.Edge:
		return nil, &FullError{Taken: PlacesOfEdge}
	case g != nil && g.waiters >= r.limits.Instance:
		return nil, &FullError{Taken: PlacesOfInstance}
	}
	return r.enter(id, source), nil
}

// enter takes a place, as if there always were one. The mutex is held.
func (r *Room) enter(id routing.ID, source string) *group {
	g := r.groups[id]
	if g == nil {
		g = &group{id: id, changed: make(chan struct{}), told: make(chan struct{})}
		r.groups[id] = g
	}
	g.waiters++
	r.waiters++
	r.most = max(r.most, r.waiters)
	if source != "" {
		r.sources[source]++
	}
	return g
}

func (r *Room) leave(g *group, source string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiters--
	if r.sources[source]--; r.sources[source] <= 0 {
		delete(r.sources, source)
	}
	if g.waiters--; g.waiters == 0 {
		delete(r.groups, g.id)
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
