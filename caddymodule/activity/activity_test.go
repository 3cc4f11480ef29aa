package activity_test

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/caddymodule/activity"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// table is a route table of tests.
type table struct {
	mu   sync.Mutex
	byID map[routing.ID]*routing.Instance
}

func (t *table) lookUp(id routing.ID) *routing.Instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byID[id]
}

func (t *table) set(id routing.ID, in *routing.Instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[id] = in; in == nil {
		delete(t.byID, id)
	}
}

func numbered(n byte) routing.ID { return routing.ID{0: 1, 14: n, 15: n} }

// yard is meters with a table of one instance.
type yard struct {
	*testing.T
	*activity.Meters
	table    *table
	in       routing.Instance
	news     atomic.Int32
	revision int64
}

func newYard(t *testing.T) *yard {
	y := &yard{T: t, table: &table{byID: map[routing.ID]*routing.Instance{}}}
	y.Meters = activity.New(func() { y.news.Add(1) })
	y.in = routing.Instance{ID: numbered(1), Status: routing.Deployed, Generation: 3}
	y.change(routing.Deployed)
	return y
}

func (y *yard) change(status routing.Status) {
	y.in.Status = status
	in := y.in
	y.table.set(in.ID, &in)
	y.tell(in.ID)
}

func (y *yard) tell(ids ...routing.ID) {
	y.revision++
	y.Changed(y.revision, ids, y.table.lookUp)
}

// report is a report that is written.
func (y *yard) report() []controlplane.Activity {
	items, written := y.Report(y.table.lookUp)
	written()
	return items
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestWhatCountsAsActivity(t *testing.T) {
	for name, tc := range map[string]struct {
		quiet bool
		use   func(u activity.Use, began time.Time)
		cause string // "" is none
		ago   int64
	}{
		"an answer":                     {use: func(u activity.Use, at time.Time) { u.Answered(200, at) }, cause: "request", ago: 5000},
		"a redirect of the app's":       {use: func(u activity.Use, at time.Time) { u.Answered(302, at) }, cause: "request", ago: 5000},
		"a not found":                   {use: func(u activity.Use, at time.Time) { u.Answered(404, at) }},
		"an error":                      {use: func(u activity.Use, at time.Time) { u.Answered(500, at) }},
		"a probe":                       {quiet: true, use: func(u activity.Use, at time.Time) { u.Answered(200, at); u.Received(200, at); u.Sent(at); u.Data() }},
		"a long download":               {use: func(u activity.Use, at time.Time) { u.Received(200, at) }, cause: "stream"},
		"a long error page":             {use: func(u activity.Use, at time.Time) { u.Received(404, at) }},
		"a long upload":                 {use: func(u activity.Use, at time.Time) { u.Sent(at) }, cause: "stream"},
		"the first second of an upload": {use: func(u activity.Use, at time.Time) { u.Sent(at.Add(4500 * time.Millisecond)) }},
		"a body of half a second":       {use: func(u activity.Use, at time.Time) { u.Received(200, at.Add(4500*time.Millisecond)) }, cause: "request"},
		"data of a WebSocket":           {use: func(u activity.Use, _ time.Time) { u.Data() }, cause: "websocket"},
		"an older time than the last":   {use: func(u activity.Use, at time.Time) { u.Data(); u.Answered(200, at) }, cause: "websocket"},
		"nothing":                       {use: func(activity.Use, time.Time) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				u, began := y.Begin(&y.in, tc.quiet), time.Now()
				time.Sleep(5 * time.Second)
				tc.use(u, began)
				u.End()
				got := y.report()
				if tc.cause == "" {
					same(t, "the report", got, []controlplane.Activity(nil))
					return
				}
				same(t, "the report", got, []controlplane.Activity{{InstanceID: y.in.ID.String(), ActiveMS: tc.ago, PresentMS: -1, Cause: tc.cause}})
			})
		})
	}
}

func TestAReportHasWhatIsNewSinceTheLastThatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		id := y.in.ID.String()
		u := y.Begin(&y.in, false)
		u.Answered(200, time.Now())
		u.End()
		for range 3 { // none of these is written
			time.Sleep(10 * time.Second)
			if items, _ := y.Report(y.table.lookUp); len(items) != 1 {
				t.Fatalf("it has %+v", items)
			}
		}
		same(t, "the one that is written", y.report(), []controlplane.Activity{{InstanceID: id, ActiveMS: 30000, PresentMS: -1, Cause: "request"}})
		same(t, "the next", len(y.report()), 0)

		// What comes while one is written is in the next.
		y.Begin(&y.in, false).Answered(200, time.Now())
		items, written := y.Report(y.table.lookUp)
		time.Sleep(time.Second)
		y.Begin(&y.in, false).Data()
		written()
		same(t, "while one is written", len(items), 1)
		same(t, "after that", y.report()[0].Cause, "websocket")
	})
}

func TestWhatIsOpenAndSilentIsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		id := y.in.ID.String()
		tab := y.Begin(&y.in, false)
		closed := tab.Open(func() {})
		y.Begin(&y.in, true).Open(func() {}) // a probe's
		for range 3 {
			time.Sleep(10 * time.Second)
			same(t, "an idle tab", y.report(), []controlplane.Activity{{InstanceID: id, ActiveMS: -1, Open: 2}})
		}
		time.Sleep(4 * time.Second)
		closed()
		tab.End()
		time.Sleep(6 * time.Second)
		same(t, "a closed one", y.report(), []controlplane.Activity{{InstanceID: id, ActiveMS: -1, PresentMS: 6000, Open: 1}})
		same(t, "and then", len(y.report()), 0)
	})
}

func TestARequestThatWaitsForLongIsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		var told []int
		for n := range 7 {
			time.Sleep(5 * time.Second)
			slow := y.Begin(&y.in, n != 1)
			if n > 1 {
				slow.End() // but for a probe and one request, all are short
			}
			time.Sleep(5 * time.Second)
			if len(y.report()) > 0 {
				told = append(told, n)
			}
			if n == 0 {
				slow.End()
			}
		}
		same(t, "the reports that have it", told, []int{2, 4, 6})
	})
}

func TestAnInstanceThatIsGoneIsForgotten(t *testing.T) {
	y := newYard(t)
	u := y.Begin(&y.in, false)
	u.Data()
	y.table.set(y.in.ID, nil)
	same(t, "the report", len(y.report()), 0)
	u.Data()
	u.End()
	same(t, "the next", len(y.report()), 0)
	y.change(routing.Deployed)
	same(t, "of one that is back", len(y.report()), 0)
	y.Begin(&y.in, false).Data()
	same(t, "of its next use", len(y.report()), 1)
}

func TestWhatIsToldOfAnInstanceThatIsAboutToSleep(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(y *yard)
		want   *controlplane.Activity
	}{
		"never visited": {func(*yard) {}, nil},
		"idle": {func(y *yard) {
			y.Begin(&y.in, false).For(1).End()
			u := y.Begin(&y.in, false)
			u.Data()
			u.End()
			y.report()
			time.Sleep(2 * time.Minute)
		}, nil},
		"in flight":         {func(y *yard) { y.Begin(&y.in, false) }, &controlplane.Activity{ActiveMS: -1, PresentMS: -1, Open: 1}},
		"a probe in flight": {func(y *yard) { y.Begin(&y.in, true) }, &controlplane.Activity{ActiveMS: -1, PresentMS: -1, Open: 1}},
		"activity that was not reported": {func(y *yard) {
			u := y.Begin(&y.in, false)
			u.Answered(200, time.Now())
			u.End()
			time.Sleep(time.Second)
		}, &controlplane.Activity{ActiveMS: 1000, PresentMS: -1, Cause: "request"}},
		"activity that was reported": {func(y *yard) {
			u := y.Begin(&y.in, false)
			u.Answered(200, time.Now())
			u.End()
			time.Sleep(time.Second)
			y.report()
		}, &controlplane.Activity{ActiveMS: -1, PresentMS: -1, ReportedMS: 1000, Cause: "request"}},
		"an idle tab": {func(y *yard) { y.Begin(&y.in, false).Open(func() {}); y.report() },
			&controlplane.Activity{ActiveMS: -1, Open: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t)
				tc.before(y)
				_, items, _ := y.Draining(10)
				same(t, "before the mark", len(items), 0)
				y.change(routing.Suspending)
				revision, items, more := y.Draining(10)
				if revision != y.revision || more != 0 {
					t.Errorf("revision %d and %d more", revision, more)
				}
				if tc.want == nil {
					same(t, "told", len(items), 0)
				} else {
					tc.want.InstanceID = y.in.ID.String()
					same(t, "told", items, []controlplane.Activity{*tc.want})
				}
				y.change(routing.Deployed)
				_, items, _ = y.Draining(10)
				same(t, "after a withdrawal", len(items), 0)
			})
		})
	}
}

func TestWhatChangesWhileAnInstanceDrainsIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t)
		a, b := y.Begin(&y.in, false), y.Begin(&y.in, false)
		y.change(routing.Suspending)
		wants := func(what string, n int32) {
			t.Helper()
			same(t, what, y.news.Swap(0), n)
		}
		a.End()
		wants("one of two ends", 0)
		time.Sleep(time.Second)
		b.Data()
		wants("activity", 1)
		time.Sleep(500 * time.Millisecond)
		b.Data()
		wants("more of it at once", 0)
		time.Sleep(500 * time.Millisecond)
		b.Data()
		wants("and a second later", 1)
		b.End()
		wants("the last one ends", 1)
		y.change(routing.Deployed)
		c := y.Begin(&y.in, false)
		time.Sleep(time.Second)
		c.Data()
		c.End()
		wants("after a withdrawal", 0)
	})
}

func TestTooManyThatDrainAreToldAsMore(t *testing.T) {
	y := newYard(t)
	var ids []routing.ID
	for n := range byte(50) {
		in := &routing.Instance{ID: numbered(n), Status: routing.Deployed, Generation: 1}
		u := y.Begin(in, false)
		if n == 40 {
			u.Data()
		}
		if n == 41 { // was active, and that is reported below
			u.Data()
			u.End()
		}
		marked := *in
		marked.Status = routing.Suspending
		y.table.set(in.ID, &marked)
		ids = append(ids, in.ID)
	}
	y.report()
	y.Begin(&routing.Instance{ID: numbered(40)}, true).End()
	y.tell(ids...)
	_, items, more := y.Draining(20)
	if len(items) != 20 || more != 29 { // but for the one that is reported
		t.Errorf("%d items and %d more", len(items), more)
	}
	if slices.ContainsFunc(items, func(a controlplane.Activity) bool { return a.Open == 0 }) {
		t.Error("one without anything open keeps others from being told")
	}
}

func TestWhatIsOpenEndsWithItsInstance(t *testing.T) {
	for name, tc := range map[string]struct {
		then  func(y *yard)
		ended bool
	}{
		"going to sleep": {func(y *yard) { y.change(routing.Suspending) }, false},
		"taken back":     {func(y *yard) { y.change(routing.Suspending); y.change(routing.Deployed) }, false},
		"stopping":       {func(y *yard) { y.in.Stopping = true; y.change(routing.Suspending) }, true},
		"asleep":         {func(y *yard) { y.change(routing.Suspended) }, true},
		"another start":  {func(y *yard) { y.in.Generation++; y.change(routing.Resuming) }, true},
		"unknown":        {func(y *yard) { y.change(routing.Unknown) }, false},
		"gone":           {func(y *yard) { y.table.set(y.in.ID, nil); y.tell(y.in.ID) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			var ends [2]atomic.Int32
			u := y.Begin(&y.in, false)
			closed := u.Open(func() { ends[0].Add(1) })
			early := u.Open(func() { t.Error("what was closed is ended") })
			early()
			tc.then(y)
			if got := ends[0].Load() > 0; got != tc.ended {
				t.Errorf("ended %v", got)
			}
			defer u.Open(func() { ends[1].Add(1) })()
			if got := ends[1].Load() > 0; got != tc.ended {
				t.Errorf("one that opens too late: ended %v", got)
			}
			closed()
		})
	}
	t.Run("a backup has an older generation", func(t *testing.T) {
		y := newYard(t)
		y.Begin(&y.in, false)
		y.change(routing.Suspended)
		y.in.Generation = 1
		y.change(routing.Deployed)
		defer y.Begin(&y.in, false).Open(func() { t.Error("it is ended") })()
	})
}

// TestNoRequestIsBetweenTheMarkAndTheAck: once nothing is told to be open, no
// request is under way, whatever was decided before.
func TestNoRequestIsBetweenTheMarkAndTheAck(t *testing.T) {
	y := newYard(t)
	var running sync.WaitGroup
	var inside, sent atomic.Int64
	stop := make(chan struct{})
	visit := func() {
		decided := y.table.lookUp(y.in.ID)
		if decided.Status != routing.Deployed {
			return
		}
		u := y.Begin(decided, false)
		defer u.End()
		if y.table.lookUp(y.in.ID).Status == routing.Deployed {
			sent.Add(1)
			inside.Add(1)
			inside.Add(-1)
		}
	}
	for range 4 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					visit()
				}
			}
		})
	}
	for round := range 2000 {
		y.change(routing.Suspending)
		for {
			if _, items, _ := y.Draining(10); len(items) == 0 || items[0].Open == 0 {
				break
			}
		}
		before := sent.Load()
		if n := inside.Load(); n != 0 || sent.Load() != before {
			t.Fatalf("round %d: %d are under way", round, n)
		}
		y.change(routing.Deployed)
		// Else all rounds may be over before the first visit begins.
		for round%20 == 0 && sent.Load() == before {
			runtime.Gosched()
		}
	}
	close(stop)
	running.Wait()
}

func TestManyFirstVisitsAtOnce(t *testing.T) {
	y := newYard(t)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for n := range 2000 {
				in := &routing.Instance{ID: routing.ID{0: byte(n), 3: byte(n >> 8)}}
				y.table.set(in.ID, in)
				u := y.Begin(in, false)
				u.Data()
				u.End()
				if n%500 == 0 {
					y.table.set(in.ID, nil)
					y.Report(y.table.lookUp)
				}
			}
		})
	}
	running.Wait()
	if n := len(y.report()); n < 1990 || n > 2000 {
		t.Errorf("the report has %d instances", n)
	}
}

func TestCountingARequestAllocatesNothing(t *testing.T) {
	y := newYard(t)
	y.Begin(&y.in, false).End()
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() { count(y.Meters, &y.in, now) }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func count(ms *activity.Meters, in *routing.Instance, at time.Time) {
	u := ms.Begin(in, false)
	u.Answered(200, at)
	u.End()
}

func BenchmarkARequest(b *testing.B) {
	ms := activity.New(func() {})
	in := &routing.Instance{ID: numbered(1), Generation: 1}
	b.ReportAllocs()
	for b.Loop() {
		count(ms, in, time.Time{})
	}
}

func BenchmarkAPieceOfABody(b *testing.B) {
	ms := activity.New(func() {})
	u := ms.Begin(&routing.Instance{ID: numbered(1), Generation: 1}, false)
	began := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		u.Received(200, began)
	}
}
