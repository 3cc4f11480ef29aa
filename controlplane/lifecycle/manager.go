package lifecycle

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/routing"
)

// Config is what a manager works with. All fields are required.
type Config struct {
	Store     controlplane.Store
	Watcher   controlplane.Watcher
	Blobs     controlplane.Blobs
	Launchers map[string]launcher.Launcher // by the name that records give
	Site      *routing.Site
	// Token makes an instance's own API token for one generation.
	Token func(instanceID string, generation int64) string
	// Settle is how long edges get to learn that an instance goes to sleep
	// before its workload is asked to stop.
	Settle        time.Duration
	HealthTimeout time.Duration // of a start (setting health_timeout)
	StopGrace     time.Duration // of a stop (setting stop_grace)
	Log           *zap.Logger
}

// Manager runs the state machine of all instances of a store.
type Manager struct {
	cfg Config

	mu      sync.Mutex
	tasks   map[string]*task
	waiting map[string]bool // what has not told its first list yet; nothing is decided before
	stopped bool

	settling int           // tasks whose settle is set
	settled  chan struct{} // closed when there are none

	workers sync.WaitGroup
	ctx     context.Context // of the workers, set by Run
}

// task is one instance. Its fields are guarded by the manager's mutex; one
// worker at a time takes steps for it.
type task struct {
	view
	working bool
	settle  bool // the first look is due, and others wait for what follows from it
	timer   *time.Timer
}

// The two watches, beside the launchers, that must have listed.
const (
	instancesList = "instances"
	wakesList     = "wakes"
)

// New makes a manager. Nothing happens before Run.
func New(c Config) *Manager {
	m := &Manager{cfg: c, tasks: map[string]*task{}, settled: make(chan struct{}), waiting: map[string]bool{instancesList: true, wakesList: true}}
	for name := range c.Launchers {
		m.waiting["launcher "+name] = true
	}
	return m
}

// Run works until ctx ends, and returns when the last step has been taken.
// Workloads go on. A manager runs once.
func (m *Manager) Run(ctx context.Context) {
	m.ctx = ctx
	var watches sync.WaitGroup
	watches.Go(func() { m.cfg.Watcher.WatchInstances(ctx, m.instances) })
	watches.Go(func() { m.cfg.Watcher.WatchWakes(ctx, m.wakes) })
	for name, l := range m.cfg.Launchers {
		watches.Go(func() { m.observe(ctx, name, l) })
	}
	watches.Wait()
	m.mu.Lock()
	m.stopped = true
	for _, t := range m.tasks {
		if t.timer != nil {
			t.timer.Stop()
		}
	}
	m.mu.Unlock()
	m.workers.Wait()
}

// Settled is closed when every record that says that its instance runs has been
// compared with what the launchers say. Before that a record may name an
// endpoint of an earlier life, where a stranger may listen now.
func (m *Manager) Settled() <-chan struct{} { return m.settled }

func (m *Manager) task(id string) *task {
	t := m.tasks[id]
	if t == nil {
		t = &task{}
		m.tasks[id] = t
	}
	return t
}

// instances takes in records.
func (m *Manager) instances(b controlplane.InstanceBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := b.Gone
	if b.Full {
		gone = m.absent(b)
	}
	for _, in := range b.Put {
		t := m.task(in.ID)
		t.unread = false
		if b.Full {
			t.record = in // a restored store is older than what is known, and right
		} else {
			m.learn(t, in)
		}
		m.kick(in.ID)
	}
	for _, id := range b.Unread {
		m.task(id).unread = true
	}
	for _, id := range gone {
		t := m.task(id)
		t.record, t.unread = nil, false
		m.kick(id)
	}
	m.listed(instancesList, b.Full)
}

// absent lists the tasks that have a record and are not in a full list.
func (m *Manager) absent(b controlplane.InstanceBatch) (gone []string) {
	present := make(map[string]bool, len(b.Put)+len(b.Unread))
	for _, in := range b.Put {
		present[in.ID] = true
	}
	for _, id := range b.Unread {
		present[id] = true
	}
	for id, t := range m.tasks {
		if (t.record != nil || t.unread) && !present[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// learn takes a record in, unless a newer one is known: the manager knows its
// own transactions before the watch tells of them.
func (m *Manager) learn(t *task, in *controlplane.Instance) {
	if t.record == nil || in.Revision > t.record.Revision {
		t.record = in
	}
}

// wakes takes in intents.
func (m *Manager) wakes(b controlplane.WakeBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.Full {
		for _, t := range m.tasks {
			t.wake = nil
		}
	}
	for _, intent := range b.Put {
		m.task(intent.InstanceID).wake = intent
		m.kick(intent.InstanceID)
	}
	for _, id := range b.Gone {
		m.task(id).wake = nil
		m.kick(id)
	}
	m.listed(wakesList, b.Full)
}

// observe takes in the facts of one launcher.
func (m *Manager) observe(ctx context.Context, name string, l launcher.Launcher) {
	for fact := range l.Observe(ctx) {
		m.mu.Lock()
		if fact.Synced {
			m.listed("launcher "+name, true)
		} else {
			t := m.task(fact.InstanceID)
			t.fact, t.launcher = &fact, name
			m.kick(fact.InstanceID)
		}
		m.mu.Unlock()
	}
}

// listed notes that a first list is complete; the last one starts the work.
func (m *Manager) listed(name string, full bool) {
	if !full || !m.waiting[name] {
		return
	}
	delete(m.waiting, name)
	if len(m.waiting) == 0 {
		m.settling = len(m.tasks)
		for _, id := range slices.Collect(maps.Keys(m.tasks)) {
			m.tasks[id].settle = true
			m.kick(id)
		}
		if m.settling == 0 {
			close(m.settled)
		}
	}
}

// looked notes that a task has been looked at. The mutex is held.
func (m *Manager) looked(t *task) {
	if !t.settle {
		return
	}
	t.settle = false
	if m.settling--; m.settling == 0 {
		close(m.settled)
	}
}

// kick has a worker look at an instance. The mutex is held.
func (m *Manager) kick(id string) {
	t := m.tasks[id]
	if t == nil || m.stopped || len(m.waiting) > 0 {
		return
	}
	if t.working {
		return
	}
	t.working = true
	m.workers.Go(func() { m.work(id, t) })
}

// work takes steps for one instance until there is nothing to do.
func (m *Manager) work(id string, t *task) {
	failures := 0
	for m.ctx.Err() == nil {
		m.mu.Lock()
		v := t.view
		v.now = time.Now()
		s := next(v)
		if !v.contradicts(s.action) {
			m.looked(t)
		}
		if s.action == nothing {
			m.rest(id, t, s.again)
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		if err := m.take(id, t, v, s.action); err != nil {
			m.cfg.Log.Warn("instance step failed, will try again", zap.String("instance", id), zap.Error(err))
			m.pause(doubling(50*time.Millisecond, failures, 5*time.Second))
			failures++
			continue
		}
		failures = 0
	}
	m.mu.Lock()
	t.working = false
	m.mu.Unlock()
}

// rest ends a worker's turn. The mutex is held.
func (m *Manager) rest(id string, t *task, again time.Time) {
	t.working = false
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if !again.IsZero() {
		t.timer = time.AfterFunc(time.Until(again), func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.kick(id)
		})
		return
	}
	if t.record == nil && !t.unread && !t.runs() && t.wake == nil {
		delete(m.tasks, id)
	}
}

// pause waits, or until the manager ends.
func (m *Manager) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-m.ctx.Done():
	}
}
