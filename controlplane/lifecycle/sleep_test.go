package lifecycle_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// raw writes a key as an edge does; nil deletes it.
func (p *plant) raw(key string, value any) {
	p.Helper()
	client, key := etcdtest.Shared(p.T).Client(p.T), etcdtest.Prefix(p.T)+key
	if value == nil {
		if _, err := client.Delete(p.Context(), key); err != nil {
			p.Fatal(err)
		}
		return
	}
	raw, err := json.Marshal(value)
	if err == nil {
		_, err = client.Put(p.Context(), key, string(raw))
	}
	if err != nil {
		p.Fatal(err)
	}
}

// everything is a revision that acknowledges whatever there is.
const everything = 1 << 60

// edge is what a live edge says of itself.
func (p *plant) edge(name string, revision int64, draining ...controlplane.Activity) {
	p.Helper()
	p.raw("edges/"+name, controlplane.Edge{Name: name, Revision: revision, Draining: draining})
}

func (p *plant) used(id string, ago time.Duration) {
	p.Helper()
	p.raw("activity/e/0", controlplane.ActivityReport{Items: []controlplane.Activity{
		{InstanceID: id, ActiveMS: ago.Milliseconds(), PresentMS: -1, Cause: "stream"},
	}})
}

// deployed is an instance that is ready.
func (p *plant) deployed(f ...func(*controlplane.Instance)) string {
	p.Helper()
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: p.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending,
		RoutingMode: controlplane.Domain, Launcher: "yard", Generation: 1,
	}
	for _, g := range f {
		g(in)
	}
	p.put(in)
	p.becomes(in.ID, controlplane.Deployed)
	return in.ID
}

func timeout(d time.Duration) func(*controlplane.Instance) {
	return func(in *controlplane.Instance) { in.Timeout = d }
}

// happened counts the events of a type.
func (p *plant) happened(id string, typ controlplane.EventType) (n int) {
	p.Helper()
	events, err := p.store.Events(p.Context(), id)
	if err != nil {
		p.Fatal(err)
	}
	for _, e := range events {
		if e.Type == typ {
			n++
		}
	}
	return n
}

// stays checks for a moment that the status does.
func (p *plant) stays(id string, s controlplane.Status) {
	p.Helper()
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		if in := p.look(id); in.Status != s || in.Sleep != nil && in.Sleep.Stopping {
			p.Fatalf("it is %s, want %s", in.Status, s)
		}
	}
}

func TestASuspendWaitsForEdges(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1)
	p.edge("two", everything)
	p.manage()
	id := p.deployed()
	p.ask(p.service.SuspendInstance, id)
	p.stays(id, controlplane.Suspending)
	if in := p.look(id); in.Endpoint == "" || in.Sleep.Cause != controlplane.SleepAsked {
		t.Errorf("suspending: %+v", in)
	}
	// It knows, and has requests under way.
	p.edge("one", everything, controlplane.Activity{InstanceID: id, ActiveMS: 0, PresentMS: -1, Open: 2})
	p.stays(id, controlplane.Suspending)
	if _, ready, _ := p.yard.state(id); !ready {
		t.Error("it was stopped under requests")
	}
	// The other one has more to tell than it has room for.
	p.raw("edges/two", controlplane.Edge{Name: "two", Revision: everything, More: 1})
	p.edge("one", everything)
	p.stays(id, controlplane.Suspending)
	p.edge("two", everything)
	in := p.becomes(id, controlplane.Suspended)
	if !in.Sleep.Stopping || in.Endpoint != "" {
		t.Errorf("suspended: %+v", in)
	}
	if suspended := p.happened(id, controlplane.EventSuspended); suspended != 1 {
		t.Errorf("%d events of it", suspended)
	}
}

func TestAnEdgeThatDiesIsNotWaitedFor(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1)
	p.manage()
	id := p.deployed()
	p.ask(p.service.SuspendInstance, id)
	p.stays(id, controlplane.Suspending)
	p.raw("edges/one", nil)
	p.becomes(id, controlplane.Suspended)
}

func TestRequestsThatDoNotEndAreWaitedForAsLongAsTheDrain(t *testing.T) {
	p := newPlant(t)
	p.drain = 300 * time.Millisecond
	p.edge("one", 1) // known, and of a time before the mark
	p.manage()
	id := p.deployed(func(in *controlplane.Instance) {
		p.edge("one", everything, controlplane.Activity{InstanceID: in.ID, ActiveMS: -1, PresentMS: -1, Open: 1})
	})
	begin := time.Now()
	p.ask(p.service.SuspendInstance, id)
	p.becomes(id, controlplane.Suspended)
	if took := time.Since(begin); took < p.drain {
		t.Errorf("it was stopped after %v", took)
	}
}

// An edge tells of so many, and of how many there are more: those are taken to
// have something open.
func TestWhatAnEdgeHasNoRoomToTellOfIsWaitedFor(t *testing.T) {
	p := newPlant(t)
	full := controlplane.Edge{Name: "one", Revision: everything, More: 1, Draining: []controlplane.Activity{
		{InstanceID: "another", ActiveMS: -1, PresentMS: -1, Open: 1},
	}}
	p.raw("edges/one", full)
	p.manage()
	id := p.deployed()
	p.ask(p.service.SuspendInstance, id)
	p.stays(id, controlplane.Suspending)
	full.More = 0
	p.raw("edges/one", full)
	p.becomes(id, controlplane.Suspended)
}

// What comes from the store was perhaps written by somebody with an edge's rights.
func TestForgedNewsOfAnEdgeSpoilNoRecord(t *testing.T) {
	const before = 9_223_372_036_900 // more milliseconds than a duration can be
	for name, forged := range map[string]controlplane.Activity{
		"activity older than time":     {ActiveMS: before, PresentMS: -1, Cause: "request"},
		"presence older than time":     {ActiveMS: -1, PresentMS: before},
		"the oldest activity of all":   {ActiveMS: math.MaxInt64, PresentMS: math.MaxInt64},
		"a cause larger than a record": {ActiveMS: 0, PresentMS: -1, Cause: strings.Repeat("x", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t)
			p.drain = 300 * time.Millisecond
			p.edge("one", everything)
			p.manage()
			id := p.deployed(func(in *controlplane.Instance) {
				in.Timeout = 200 * time.Millisecond
				forged.InstanceID = in.ID
			})
			p.raw("activity/one/0", controlplane.ActivityReport{Items: []controlplane.Activity{forged}})
			in := p.becomes(id, controlplane.Suspended)
			if in.LastActive.After(time.Now()) || in.LastPresent.After(time.Now()) || len(in.ActiveBy) > 100 {
				t.Errorf("active %v, present %v, by %.20q", in.LastActive, in.LastPresent, in.ActiveBy)
			}
		})
	}
}

func TestAForgedCountOfOneEdgeHidesNothingOfAnother(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1) // known, and of a time before the mark
	p.edge("two", 1)
	p.manage()
	id := p.deployed(func(in *controlplane.Instance) {
		p.edge("one", everything, controlplane.Activity{InstanceID: in.ID, ActiveMS: -1, PresentMS: -1, Open: 1})
		p.edge("two", everything, controlplane.Activity{InstanceID: in.ID, ActiveMS: -1, PresentMS: -1, Open: -1})
	})
	p.ask(p.service.SuspendInstance, id)
	p.stays(id, controlplane.Suspending)
	p.edge("one", everything)
	p.becomes(id, controlplane.Suspended)
}

// Nobody's start is asked for by who visits what was told to sleep, until it does.
func TestAVisitWhileItGoesToSleepAsAskedWakesItAfterwards(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1)
	p.manage()
	id := p.deployed()
	p.ask(p.service.SuspendInstance, id)
	p.wake(id)
	p.stays(id, controlplane.Suspending)
	p.edge("one", everything)
	p.eventually("started again", func() bool { in := p.look(id); return in.Status == controlplane.Deployed && in.Generation == 2 })
}

func TestIdleInstancesSleep(t *testing.T) {
	p := newPlant(t)
	p.sleep.Timeout = time.Second
	p.manage()
	id, long := p.deployed(), p.deployed(timeout(time.Hour))
	never, protected := p.deployed(timeout(-1)), p.deployed(func(in *controlplane.Instance) { in.NoAutosuspend = true })
	in := p.becomes(id, controlplane.Suspended)
	if in.Sleep.Cause != controlplane.SleepIdle || p.happened(id, controlplane.EventSuspend) != 1 {
		t.Errorf("suspended: %+v", in.Sleep)
	}
	for _, id := range []string{long, never, protected} {
		p.stays(id, controlplane.Deployed)
	}
	p.wake(id)
	p.eventually("woken", func() bool { return p.look(id).Generation == 2 })
	p.becomes(id, controlplane.Suspended)
}

// The edges' acknowledgement tells what they have not reported.
func TestWhatIsUsedAfterAllRunsOn(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1)
	p.manage()
	id := p.deployed(timeout(time.Second))
	in := p.becomes(id, controlplane.Suspending)
	p.edge("one", 1, controlplane.Activity{InstanceID: id, ActiveMS: 10, PresentMS: -1, Cause: "request"})
	after := p.becomes(id, controlplane.Deployed)
	if after.Generation != in.Generation || after.Endpoint != in.Endpoint || !after.LastActive.After(in.LastActive) || after.Sleep != nil {
		t.Errorf("withdrawn: %+v", after)
	}
	if _, _, starts := p.yard.state(id); starts != 1 || p.happened(id, controlplane.EventWithdrawn) != 1 {
		t.Errorf("%d starts", starts)
	}
	// It is asked again when it has been idle since then.
	p.becomes(id, controlplane.Suspending)
	p.edge("one", everything)
	p.becomes(id, controlplane.Suspended)
}

func TestAVisitorKeepsAwakeWhatIsIdle(t *testing.T) {
	p := newPlant(t)
	p.edge("one", 1)
	p.manage()
	id := p.deployed(timeout(500 * time.Millisecond))
	p.becomes(id, controlplane.Suspending)
	p.wake(id)
	p.eventually("kept awake", func() bool { return p.happened(id, controlplane.EventWithdrawn) > 0 })
	if in := p.look(id); in.Generation != 1 {
		t.Errorf("generation %d", in.Generation)
	}
	p.eventually("taken back", func() bool { return p.intents() == 0 })
}

// intents counts the intents that nobody has taken up.
func (p *plant) intents() int {
	p.Helper()
	resp, err := etcdtest.Shared(p.T).Client(p.T).Get(p.Context(), etcdtest.Prefix(p.T)+"wake/", clientv3.WithPrefix())
	if err != nil {
		p.Fatal(err)
	}
	return len(resp.Kvs)
}

func TestUseExtendsTheDeadline(t *testing.T) {
	const idle = time.Second
	p := newPlant(t)
	p.manage()
	// use uses it beyond its first deadline. It returns when it was used last, the
	// longest time between two uses, and what became of it meanwhile.
	use := func(id string) (last time.Time, pause time.Duration, is controlplane.Status) {
		begin := time.Now()
		for last = begin; time.Since(begin) < 2*idle; time.Sleep(idle / 20) {
			now := time.Now()
			p.used(id, 0)
			if is = p.look(id).Status; is != controlplane.Deployed {
				return last, max(pause, time.Since(last)), is
			}
			pause, last = max(pause, now.Sub(last)), now
		}
		return last, pause, is
	}
	for attempt := 1; ; attempt++ {
		id := p.deployed(timeout(idle))
		last, pause, is := use(id)
		if is != controlplane.Deployed && pause > idle/2 && attempt < 5 {
			t.Logf("it is %s, but this machine has paused for %s: again", is, pause)
			continue
		}
		if is != controlplane.Deployed {
			t.Fatalf("it is %s, and was used every %s", is, pause)
		}
		in := p.becomes(id, controlplane.Suspended)
		if took := time.Since(last); took < idle || in.ActiveBy != "stream" {
			t.Errorf("asleep %v after its last use, by %q", took, in.ActiveBy)
		}
		return
	}
}

// Never a write for a request: what edges report is written once a minute.
func TestUseIsWrittenOnceAMinute(t *testing.T) {
	p := newPlant(t)
	p.manage()
	long := time.Now().Add(-time.Hour).UTC()
	id := p.deployed()
	p.kill()
	in := p.look(id)
	in.LastActive = long
	in.Timeout = 8 * time.Hour
	p.put(in)
	p.manage()
	p.used(id, 2*time.Minute) // old news, and written now
	p.eventually("written", func() bool { return p.look(id).LastActive.After(long) })
	after := p.look(id)
	if after.UpdatedAt != in.UpdatedAt {
		t.Errorf("an update of %v is one of %v", in.UpdatedAt, after.UpdatedAt)
	}
	first := after.Revision
	for range 20 {
		p.used(id, 0)
	}
	time.Sleep(50 * time.Millisecond)
	if now := p.look(id).Revision; now != first {
		t.Errorf("written again at %d, after %d", now, first)
	}
}

// The next manager does not know what the last one was told and has not written.
func TestANewManagerDoesNotSuspendOnOldNews(t *testing.T) {
	p := newPlant(t)
	id := p.instance(controlplane.Deployed)
	in := p.look(id)
	in.Endpoint, in.Timeout, in.LastActive = endpoint(1), 10*time.Second, time.Now().Add(-30*time.Second).UTC()
	p.put(in)
	old := p.instance(controlplane.Deployed)
	in = p.look(old)
	in.Endpoint, in.Timeout, in.LastActive = endpoint(1), 10*time.Second, time.Now().Add(-90*time.Second).UTC()
	p.put(in)
	for _, id := range []string{id, old} {
		if err := p.yard.Start(t.Context(), launcher.Workload{InstanceID: id, Generation: 1}); err != nil {
			t.Fatal(err)
		}
	}
	p.eventually("ready", func() bool { _, ready, _ := p.yard.state(old); return ready })
	p.manage()
	p.becomes(old, controlplane.Suspended)
	p.stays(id, controlplane.Deployed)
}

// Ten thousand instances whose time is over at once are asleep within a minute,
// and a wake among them does not wait for them.
func TestManyIdleInstancesSleepInTime(t *testing.T) {
	n := 500
	if os.Getenv("SLIPWAY_SOAK") != "" {
		n = 10_000
	}
	p := newPlant(t)
	p.edge("one", everything)
	ids := make([]string, n)
	var making sync.WaitGroup
	for part := range 20 {
		making.Go(func() {
			for i := part; i < n; i += 20 {
				ids[i] = uuid.NewString()
				p.put(&controlplane.Instance{
					ID: ids[i], AppID: p.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Deployed,
					RoutingMode: controlplane.Domain, Launcher: "yard", Generation: 1, Endpoint: endpoint(1), LastActive: time.Now().Add(-3 * time.Hour).UTC(),
				})
				if err := p.yard.Start(t.Context(), launcher.Workload{InstanceID: ids[i], Generation: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	making.Wait()
	asleep := p.instance(controlplane.Suspended)
	p.eventually("ready", func() bool { return len(p.yard.began()) == 0 })
	running := func() int {
		p.yard.mu.Lock()
		defer p.yard.mu.Unlock()
		return len(p.yard.runs)
	}
	begin := time.Now()
	p.manage()
	p.eventually("under way", func() bool { return running() < n*9/10 })
	visit := time.Now()
	p.wake(asleep)
	p.becomes(asleep, controlplane.Deployed)
	woken := time.Since(visit)
	for deadline := begin.Add(3 * time.Minute); running() > 1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d still run", running())
		}
	}
	took := time.Since(begin)
	for _, id := range ids {
		p.becomes(id, controlplane.Suspended)
	}
	t.Logf("%d instances slept after %v, a wake among them took %v", n, took, woken)
}
