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

// Config is what a manager works with. All fields but Secrets, Starts, Rights,
// WaveClient and Observer are required.
type Config struct {
	Store     controlplane.Store
	Watcher   controlplane.Watcher
	Blobs     controlplane.Blobs
	Launchers map[string]launcher.Launcher // by the name that records give
	Site      *routing.Site
	// Secrets finds the values of secrets that apps refer to. It reads nothing for
	// apps that refer to none.
	Secrets controlplane.SecretResolver
	// Token makes an instance's own API token for one generation.
	Token func(instanceID string, generation int64) string
	// BundleTarget signs a link to a bundle, and is its path and query.
	BundleTarget func(controlplane.BundleLink) string
	// Edges acknowledge that an instance goes to sleep, Activity tells when it was
	// used.
	Edges    controlplane.EdgeStore
	Activity controlplane.ActivityWatcher
	Sleep    controlplane.SleepSettings
	// Drain is how long requests under way get when an instance goes to sleep.
	Drain         time.Duration
	HealthTimeout time.Duration // of a start (setting health_timeout)
	StopGrace     time.Duration // of a stop (setting stop_grace)
	StartsAtOnce  int           // others wait for their turn (setting starts_at_once)
	Starts        StartLimits   // by visits
	Rights        controlplane.Rights
	WaveClient    *WaveClient      // nil: Wave servers sign nobody in
	Observer      Observer         // nil: nobody is told
	Now           func() time.Time // the clock
	Log           *zap.Logger
}

// StartLimits bound the starts by visits within an hour; 0 bounds nothing. Joining
// a start is not counted.
type StartLimits struct {
	User      int // of a user (starts_per_user); admins are not bound
	Source    int // of a source address (starts_per_source); loopback is not bound
	Anonymous int // of a source address, by who is not signed in (anonymous_starts)
}

// Manager runs the state machine of all instances of a store.
type Manager struct {
	cfg Config

	mu      sync.Mutex
	tasks   map[string]*task
	waiting map[string]bool // what has not told its first list yet; nothing is decided before
	stopped bool

	live       map[string]edge  // edges by name
	suspending map[string]*task // what waits for them
	starts     queue
	beginning  backlog
	ending     backlog

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
	failed  bool // the last step, which is tried again
	settle  bool // the first look is due, and others wait for what follows from it
	timer   *time.Timer
	folds   bool // the timer looks after news of edges

	ticket   *ticket   // of the queue
	foretold int       // the place that edges were told before it is queued
	began    time.Time // when the launcher was asked to start ...
	begun    int64     // ... this generation
	marks    marks     // of the last start
	told     string    // the last event that would repeat itself
	toldAt   time.Time
}

// The watches, beside the launchers, that must have listed.
const (
	instancesList = "instances"
	wakesList     = "wakes"
	edgesList     = "edges"
)

// New makes a manager. Nothing happens before Run.
func New(c Config) *Manager {
	m := &Manager{
		cfg: c, tasks: map[string]*task{}, settled: make(chan struct{}),
		waiting: map[string]bool{instancesList: true, wakesList: true, edgesList: true},
		live:    map[string]edge{}, suspending: map[string]*task{}, starts: queue{limit: c.StartsAtOnce},
		beginning: backlog{limit: beginnings}, ending: backlog{limit: endings},
	}
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
	watches.Go(func() { m.cfg.Edges.WatchEdges(ctx, m.edges) })
	watches.Go(func() { m.cfg.Activity.WatchActivity(ctx, m.activity) })
	watches.Go(func() { m.tellPlaces(ctx) })
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

// listed notes that a first list is complete; the last one starts the work.
func (m *Manager) listed(name string, full bool) {
	if !full || !m.waiting[name] {
		return
	}
	delete(m.waiting, name)
	if len(m.waiting) == 0 {
		m.begin()
	}
}

// begin has every instance looked at, those first that wait for their start since
// long ago. The mutex is held.
func (m *Manager) begin() {
	m.settling = len(m.tasks)
	if m.settling == 0 {
		close(m.settled)
	}
	now := m.cfg.Now()
	ids := slices.SortedFunc(maps.Keys(m.tasks), func(a, b string) int {
		return m.tasks[a].since().Compare(m.tasks[b].since())
	})
	for _, id := range ids { // what starts already comes before what waits
		m.took(m.tasks[id], now)
		m.assign(id, m.tasks[id], m.view(id, m.tasks[id]))
	}
	for _, id := range ids {
		t := m.tasks[id]
		if v := m.view(id, t); next(v).action == enqueue {
			m.starts.enter(id, t)
		}
		t.settle = true
		m.kick(id)
	}
}

// since is when the start of an instance was begun.
func (t *task) since() (at time.Time) {
	if t.record != nil && t.record.Begun != nil {
		at = t.record.Begun.At
	}
	return at
}

// view is what is known of an instance now. The mutex is held.
func (m *Manager) view(id string, t *task) view {
	v := t.view
	v.now, v.sleep, v.drain = m.cfg.Now(), m.cfg.Sleep, m.cfg.Drain
	if m.suspending[id] == t {
		v.acked, v.open = m.drained(id, t.mark.revision)
	}
	return v
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
	if t == nil || t.working || m.stopped || len(m.waiting) > 0 {
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
		t.failed = failures > 0
		m.assign(id, t, m.view(id, t))
		v := m.view(id, t)
		s := next(v)
		if !v.contradicts(s.action) {
			m.looked(t)
		}
		switch s.action {
		case nothing:
			m.rest(id, t, v, s.again)
			m.mu.Unlock()
			return
		case enqueue:
			m.starts.enter(id, t)
			m.mu.Unlock()
			continue
		}
		m.mu.Unlock()
		err := m.take(id, t, v, s.action)
		switch {
		case err == nil:
			failures = 0
			continue
		case controlplane.CodeOf(err) == controlplane.CodeDeposed:
			m.cfg.Log.Info("instance step was refused: another control plane leads", zap.String("instance", id))
		case m.ctx.Err() == nil:
			m.cfg.Log.Warn("instance step failed, will try again", zap.String("instance", id), zap.Error(err))
		}
		m.pause(doubling(50*time.Millisecond, failures, 5*time.Second))
		failures++
	}
	m.mu.Lock()
	t.working = false
	m.mu.Unlock()
}

// rest ends a worker's turn. The mutex is held.
func (m *Manager) rest(id string, t *task, v view, again time.Time) {
	t.working = false
	t.folds = v.hasNews()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if !again.IsZero() {
		t.timer = time.AfterFunc(again.Sub(v.now), func() {
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
