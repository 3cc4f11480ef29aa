package lifecycle_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

var ada = controlplane.Actor{User: "ada", Full: true}

// plant is a store, a yard and a manager that can be killed.
type plant struct {
	*testing.T
	store   *etcdstore.Store
	service *controlplane.Service
	yard    *yard
	app     *controlplane.App
	site    *routing.Site
	sleep   controlplane.SleepSettings
	drain   time.Duration
	atOnce  int
	starts  lifecycle.StartLimits
	kill    func() // the manager, and wait for its end

	observer lifecycle.Observer
	census   func() lifecycle.Census // of the present manager
}

func newPlant(t *testing.T) *plant {
	t.Helper()
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	store := etcdtest.Shared(t).Open(t)
	p := &plant{
		T: t, store: store, service: controlplane.NewService(controlplane.Config{Store: store, Access: access.Rules{}}), yard: newYard(), site: site, kill: func() {},
		sleep: controlplane.SleepSettings{Timeout: time.Hour, Presence: 24 * time.Hour}, drain: 10 * time.Second, atOnce: 20,
		app: &controlplane.App{ID: uuid.NewString(), Name: "demo", Version: "1", Lifecycle: controlplane.OnDemand, AppMode: controlplane.Python},
	}
	t.Cleanup(func() { p.yard.Close(context.Background(), false, 0) })
	t.Cleanup(func() { p.kill() })
	p.put(p.app)
	return p
}

func (p *plant) put(record any) {
	p.Helper()
	if _, err := p.store.Update(p.Context(), func(tx controlplane.Tx) error { return tx.Put(record) }); err != nil {
		p.Fatal(err)
	}
}

// manage starts a manager, the next after a kill.
func (p *plant) manage() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m := lifecycle.New(lifecycle.Config{
		Store: p.store, Watcher: p.store, Launchers: map[string]launcher.Launcher{"yard": p.yard}, Site: p.site,
		Token: func(id string, generation int64) string { return fmt.Sprintf("%s.%d", id, generation) },
		BundleTarget: func(l controlplane.BundleLink) string {
			return fmt.Sprintf("/%s?%s.%d until %d", l.Digest, l.Instance, l.Generation, l.Expires.Unix())
		},
		Edges: p.store, Activity: p.store, Sleep: p.sleep, Drain: p.drain, StartsAtOnce: p.atOnce, Starts: p.starts,
		Rights:        controlplane.Rights{AdminRole: "admin"},
		HealthTimeout: time.Second, StopGrace: time.Second, Observer: p.observer, Now: time.Now, Log: zap.NewNop(),
	})
	go func() { defer close(done); m.Run(ctx) }()
	p.census = m.Census
	p.kill = sync.OnceFunc(func() { cancel(); <-done })
}

// instance is a new record in this status.
func (p *plant) instance(s controlplane.Status) string {
	p.Helper()
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: p.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: s,
		RoutingMode: controlplane.Domain, Launcher: "yard", Generation: 1,
	}
	p.put(in)
	return in.ID
}

// eventually waits for something that the watch brings.
func (p *plant) eventually(what string, ok func() bool) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("not %s in time", what)
		}
	}
}

// becomes waits for a status and returns the record; "" is gone.
func (p *plant) becomes(id string, s controlplane.Status) (in *controlplane.Instance) {
	p.Helper()
	var last controlplane.Status
	p.eventually(string(s), func() bool {
		in = p.look(id)
		if in == nil {
			last = ""
		} else {
			last = in.Status
		}
		return last == s
	})
	return in
}

func (p *plant) look(id string) *controlplane.Instance {
	p.Helper()
	in, err := p.store.Instance(p.Context(), id)
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		p.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return in
}

func (p *plant) wake(id string) {
	p.Helper()
	if err := p.store.Wake(p.Context(), controlplane.WakeIntent{InstanceID: id, Edge: "edge"}, time.Minute); err != nil {
		p.Fatal(err)
	}
}

func (p *plant) ask(f func(context.Context, controlplane.Actor, string) (*controlplane.Instance, error), id string) {
	p.Helper()
	if _, err := f(p.Context(), ada, id); err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		p.Fatal(err)
	}
}

// quiet reports whether record and workload agree, and nothing is under way.
func (p *plant) quiet(id string) bool {
	p.Helper()
	generation, ready, _ := p.yard.state(id)
	in := p.look(id)
	switch {
	case in == nil, in.Status == controlplane.Suspended, in.Status == controlplane.Failed:
		return generation == 0
	case in.Status == controlplane.Deployed:
		return ready && generation == in.Generation && in.Endpoint == endpoint(generation)
	}
	return false
}

func TestALife(t *testing.T) {
	p := newPlant(t)
	p.manage()
	id := p.instance(controlplane.Pending)
	in := p.becomes(id, controlplane.Deployed)
	if in.Generation != 1 || in.Endpoint != endpoint(1) || in.Stage != "" || in.LastActive.IsZero() {
		t.Errorf("deployed: %+v", in)
	}
	p.ask(p.service.SuspendInstance, id)
	in = p.becomes(id, controlplane.Suspended)
	if generation, _, _ := p.yard.state(id); generation != 0 || in.Endpoint != "" {
		t.Errorf("suspended, and generation %d runs; %+v", generation, in)
	}
	p.wake(id)
	if in = p.becomes(id, controlplane.Deployed); in.Generation != 2 {
		t.Errorf("generation %d after the wake", in.Generation)
	}
	p.ask(p.service.TerminateInstance, id)
	p.becomes(id, "")
	if p.yard.killed[id] {
		t.Error("it was terminated without its grace")
	}
	if generation, _, _ := p.yard.state(id); generation != 0 || p.yard.kept[id] {
		t.Errorf("terminated, and generation %d runs, files kept %v", generation, p.yard.kept[id])
	}
}

func TestOneStartForManyIntents(t *testing.T) {
	p := newPlant(t)
	p.yard.ready = 50 * time.Millisecond
	p.manage()
	id := p.instance(controlplane.Suspended)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				if err := p.store.Wake(t.Context(), controlplane.WakeIntent{InstanceID: id, Edge: "edge"}, time.Minute); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	p.becomes(id, controlplane.Deployed)
	if _, _, starts := p.yard.state(id); starts != 1 {
		t.Errorf("%d starts", starts)
	}
	p.eventually("quiet", func() bool { return p.quiet(id) })
}

func TestCrashesEndInFailed(t *testing.T) {
	p := newPlant(t)
	p.manage()
	id := p.instance(controlplane.Pending)
	var begin time.Time
	for n := range int64(5) {
		in := p.becomes(id, controlplane.Deployed)
		if in.Generation != n+1 || in.Restarts != int(n) {
			t.Fatalf("start %d: %+v", n, in)
		}
		if n > 0 {
			if took, least := time.Since(begin), 500*time.Millisecond<<(n-1); took < least {
				t.Errorf("restart %d after %v, want a back-off of %v", n, took, least)
			}
		}
		begin = time.Now()
		p.yard.crash(id)
		p.eventually("noticed", func() bool { return p.look(id).Restarts == int(n)+1 })
		if in = p.look(id); n < 4 && in.Status != controlplane.Resuming && time.Since(begin) < 500*time.Millisecond<<n {
			t.Fatalf("after end %d: %s", n+1, in.Status)
		}
	}
	in := p.becomes(id, controlplane.Failed)
	if in.Reason == nil || in.Reason.Code != controlplane.Crashed || in.RetryAfter.Sub(in.UpdatedAt) < 4*time.Second {
		t.Errorf("failed: %+v", in)
	}
	// A visit is refused, and the intent does not stay to wake it later.
	p.wake(id)
	time.Sleep(200 * time.Millisecond)
	if in := p.look(id); in.Status != controlplane.Failed {
		t.Errorf("a visit in the back-off: %s", in.Status)
	}
	p.ask(p.service.ResumeInstance, id)
	p.becomes(id, controlplane.Deployed)
}

func TestAStartThatCannotBegin(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*plant, *controlplane.Instance)
		code    controlplane.ReasonCode
	}{
		"the launcher refuses": {func(p *plant, _ *controlplane.Instance) {
			p.yard.refuse = &controlplane.Reason{Code: controlplane.PortInUse, Text: "taken"}
		}, controlplane.PortInUse},
		"no such launcher": {func(_ *plant, in *controlplane.Instance) { in.Launcher = "nobody" }, controlplane.LauncherDown},
		"no such app":      {func(_ *plant, in *controlplane.Instance) { in.AppID = uuid.NewString() }, controlplane.BadBundle},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t)
			id := p.instance(controlplane.Pending)
			in := p.look(id)
			c.prepare(p, in)
			p.put(in)
			p.manage()
			got := p.becomes(id, controlplane.Failed)
			if got.Reason == nil || got.Reason.Code != c.code || got.Failures != 1 || got.RetryAfter.IsZero() {
				t.Errorf("failed: %+v", got)
			}
		})
	}
}

func TestACrashBeforeReadyFailsAtOnce(t *testing.T) {
	p := newPlant(t)
	p.yard.ready = time.Hour
	p.manage()
	id := p.instance(controlplane.Pending)
	p.eventually("recorded as starting", func() bool { return p.look(id).Stage == controlplane.StageStarting })
	p.yard.crash(id)
	if in := p.becomes(id, controlplane.Failed); in.Restarts != 0 || in.Failures != 1 {
		t.Errorf("failed: %+v", in)
	}
}

func TestWhatRunsWithoutARecordIsStopped(t *testing.T) {
	p := newPlant(t)
	orphan, asleep, meant := uuid.NewString(), p.instance(controlplane.Suspended), p.instance(controlplane.Deployed)
	for _, id := range []string{orphan, asleep, meant} {
		if err := p.yard.Start(t.Context(), launcher.Workload{InstanceID: id, Generation: 1}); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually("ready", func() bool { _, ready, _ := p.yard.state(meant); return ready })
	p.manage()
	for _, id := range []string{orphan, asleep, meant} {
		p.eventually("in agreement", func() bool { return p.quiet(id) })
	}
	if _, _, starts := p.yard.state(meant); starts != 1 {
		t.Errorf("what should run was started %d times, want it adopted", starts)
	}
	if !p.yard.kept[orphan] {
		t.Error("the files of a missing record are gone")
	}
}

// After a downgrade there are records of a newer program. Their instances run
// on until somebody can tell what they say.
func TestARecordThatCannotBeReadIsNoMissingOne(t *testing.T) {
	p := newPlant(t)
	id, sentinel := p.instance(controlplane.Deployed), uuid.NewString()
	for _, id := range []string{id, sentinel} {
		if err := p.yard.Start(t.Context(), launcher.Workload{InstanceID: id, Generation: 1}); err != nil {
			t.Fatal(err)
		}
	}
	client, key := etcdtest.Shared(t).Client(t), etcdtest.Prefix(t)+"instances/"+id
	old, err := client.Get(t.Context(), key)
	if err != nil || len(old.Kvs) != 1 {
		t.Fatal(old, err)
	}
	if _, err := client.Put(t.Context(), key, `{"v":99}`); err != nil {
		t.Fatal(err)
	}
	p.manage()
	p.eventually("looked at", func() bool { return p.quiet(sentinel) })
	time.Sleep(50 * time.Millisecond)
	if generation, _, starts := p.yard.state(id); generation != 1 || starts != 1 {
		t.Errorf("generation %d runs after %d starts", generation, starts)
	}
	// It can be read again.
	if _, err := client.Put(t.Context(), key, string(old.Kvs[0].Value)); err != nil {
		t.Fatal(err)
	}
	p.ask(p.service.SuspendInstance, id)
	p.becomes(id, controlplane.Suspended)
}

func TestWhatShouldRunAndDoesNotIsStarted(t *testing.T) {
	p := newPlant(t)
	id := p.instance(controlplane.Deployed)
	p.manage()
	p.eventually("in agreement", func() bool { return p.quiet(id) })
	if in := p.look(id); in.Status != controlplane.Deployed || in.Generation != 2 || in.Restarts != 0 {
		t.Errorf("instance %+v", in)
	}
}

// Whatever users, visitors and crashes do, and whenever the manager is killed:
// the next one brings records and workloads into agreement.
func TestAManagerThatIsKilledIsFollowedByOneThatGoesOn(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			p := newPlant(t)
			p.yard.ready = time.Duration(random.IntN(20)) * time.Millisecond
			p.atOnce = 1 + random.IntN(3)
			if seed%2 == 0 {
				p.sleep.Timeout = 20 * time.Millisecond
			}
			p.manage()
			ids := []string{p.instance(controlplane.Pending), p.instance(controlplane.Suspended), p.instance(controlplane.Deployed)}
			crashes := 0
			for range 25 {
				id := ids[random.IntN(len(ids))]
				switch random.IntN(12) {
				case 0, 1, 2:
					p.kill()
					p.manage()
				case 3, 4:
					p.ask(p.service.SuspendInstance, id)
				case 5, 6:
					p.ask(p.service.ResumeInstance, id)
				case 7, 8:
					p.wake(id)
				case 9:
					if crashes < 1 && p.yard.crash(id) {
						crashes++
					}
				case 11:
					p.edge("one", everything, controlplane.Activity{
						InstanceID: id, ActiveMS: int64(random.IntN(40)) - 20, PresentMS: -1, Open: random.IntN(2),
					})
				case 10:
					if random.IntN(4) == 0 {
						p.ask(p.service.TerminateInstance, id)
					}
				}
				time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
			}
			p.edge("one", everything)
			for _, id := range ids {
				p.eventually("in agreement", func() bool { return p.quiet(id) })
			}
			p.yard.mu.Lock()
			defer p.yard.mu.Unlock()
			for id, generations := range p.yard.starts {
				for i := 1; i < len(generations); i++ {
					if generations[i] < generations[i-1] {
						t.Errorf("%s: generations %v", id, generations)
					}
				}
			}
		})
	}
}

// A start elsewhere fetches its bundle by a link of its own, for as long as the
// launcher asks.
func TestAStartHasALinkToItsBundle(t *testing.T) {
	p := newPlant(t)
	p.manage()
	id := p.instance(controlplane.Pending)
	p.becomes(id, controlplane.Deployed)
	in, w := p.look(id), p.yard.workload(id)
	if w.BundleLink == nil {
		t.Fatal("there is no link")
	}
	before := time.Now()
	l := w.BundleLink(time.Minute)
	left := l.Expires.Sub(before)
	target := fmt.Sprintf("/%s?%s.%d until %d", l.Digest, id, in.Generation, l.Expires.Unix())
	if l.Target != target || l.Host != p.site.BaseDomain() || left > time.Minute+time.Second || left < 58*time.Second {
		t.Errorf("%+v, good for %s", l, left)
	}
}
