package hold_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var id, _ = routing.ParseID("0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01")

// house is a route table of one instance and a store that counts intents.
type house struct {
	*hold.Room
	route    atomic.Pointer[routing.Instance]
	progress atomic.Pointer[controlplane.Progress]
	wakes    atomic.Int64
	limited  atomic.Pointer[string] // the user who starts nothing for now
	woke     atomic.Pointer[string] // the user of the last intent
	// onWake is what registering the intent does, beside being counted.
	onWake func(context.Context) error
}

func newHouse(status routing.Status, generation int64) *house {
	h := &house{onWake: func(context.Context) error { return nil }}
	h.Room = hold.New(h)
	h.route.Store(&routing.Instance{ID: id, Status: status, Generation: generation})
	return h
}

func (h *house) Instance(routing.ID) *routing.Instance { return h.route.Load() }

func (h *house) Progress(*routing.Instance) *controlplane.Progress { return h.progress.Load() }

// restUntil is when everybody may start something again.
var restUntil = time.Unix(4e9, 0)

func (h *house) Limited(v controlplane.Visitor) (time.Time, bool) {
	user := h.limited.Load()
	return restUntil, user != nil && *user == v.User
}

func (h *house) Wake(ctx context.Context, intent controlplane.WakeIntent) error {
	h.wakes.Add(1)
	h.woke.Store(&intent.User)
	return h.onWake(ctx)
}

// becomes changes the route as the watch does: the table first.
func (h *house) becomes(status routing.Status, generation int64) {
	in := &routing.Instance{ID: id, Status: status, Generation: generation}
	if status == routing.Deployed || status == routing.Unknown {
		in.Endpoint, _ = routing.ParseEndpoint("127.0.0.1:4711")
	}
	h.route.Store(in)
	h.Changed([]routing.ID{id})
}

func (h *house) gone() {
	h.route.Store(nil)
	h.Changed([]routing.ID{id})
}

// outcome is what one visitor got, and when.
type outcome struct {
	in    *routing.Instance
	err   error
	after time.Duration
}

// visit waits in the background.
func (h *house) visit(ctx context.Context, limit time.Duration) <-chan outcome {
	return h.visitOf(ctx, hold.Visit{Limit: limit})
}

// visitOf is visit of somebody in particular.
func (h *house) visitOf(ctx context.Context, v hold.Visit) <-chan outcome {
	v.Instance = id
	out := make(chan outcome, 1)
	begin := time.Now()
	go func() {
		in, err := h.Wait(ctx, &v)
		out <- outcome{in, err, time.Since(begin)}
	}()
	return out
}

func TestAThousandVisitorsWakeOnceAndAreReleasedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 3)
		const n = 1000
		visits := make([]<-chan outcome, n)
		for i := range visits {
			visits[i] = h.visit(t.Context(), time.Minute)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		h.becomes(routing.Resuming, 4)
		time.Sleep(4 * time.Second)
		h.becomes(routing.Deployed, 4)
		for _, v := range visits {
			got := <-v
			if got.err != nil || got.in.Generation != 4 || got.after != 5*time.Second {
				t.Fatalf("got %+v, want generation 4 after 5 s", got)
			}
		}
		if n := h.wakes.Load(); n != 1 {
			t.Errorf("%d intents registered, want 1", n)
		}
	})
}

// On real threads, with the status changing under the visitors' feet.
func TestVisitorsOnRealThreads(t *testing.T) {
	h := newHouse(routing.Suspended, 1)
	started := make(chan struct{})
	var once sync.Once
	h.onWake = func(context.Context) error { once.Do(func() { close(started) }); return nil }
	visits := make([]<-chan outcome, 1000)
	for i := range visits {
		visits[i] = h.visit(t.Context(), time.Minute)
	}
	<-started
	h.becomes(routing.Resuming, 2)
	h.becomes(routing.Deployed, 2)
	for _, v := range visits {
		if got := <-v; got.err != nil || got.in.Generation != 2 {
			t.Fatalf("got %+v", got)
		}
	}
	if n := h.wakes.Load(); n != 1 {
		t.Errorf("%d intents registered, want 1", n)
	}
}

func TestWhatAVisitorGets(t *testing.T) {
	type moment struct {
		at time.Duration
		do func(*house)
	}
	becomes := func(at time.Duration, s routing.Status, generation int64) moment {
		return moment{at, func(h *house) { h.becomes(s, generation) }}
	}
	ms := time.Millisecond
	for name, c := range map[string]struct {
		status routing.Status
		then   []moment
		err    error
		after  time.Duration
		wakes  int64
	}{
		"pending joins the start":                 {routing.Pending, []moment{becomes(time.Second, routing.Deployed, 1)}, nil, time.Second, 0},
		"resuming joins the wake":                 {routing.Resuming, []moment{becomes(time.Second, routing.Deployed, 1)}, nil, time.Second, 0},
		"suspended is woken":                      {routing.Suspended, []moment{becomes(time.Second, routing.Deployed, 2)}, nil, time.Second, 1},
		"suspending waits, then wakes":            {routing.Suspending, []moment{becomes(time.Second, routing.Suspended, 1), becomes(2*time.Second, routing.Deployed, 2)}, nil, 2 * time.Second, 1},
		"nothing happens":                         {routing.Suspended, nil, hold.ErrTimeout, time.Minute, 12},
		"a start that never ends":                 {routing.Pending, nil, hold.ErrTimeout, time.Minute, 0},
		"the start fails":                         {routing.Suspended, []moment{becomes(ms, routing.Resuming, 2), becomes(time.Second, routing.Failed, 2)}, hold.ErrFailed, time.Second, 1},
		"the first start fails":                   {routing.Pending, []moment{becomes(time.Second, routing.Failed, 1)}, hold.ErrFailed, time.Second, 0},
		"failed and its back-off lasts":           {routing.Failed, nil, hold.ErrFailed, 500 * ms, 1},
		"failed and its back-off is over":         {routing.Failed, []moment{becomes(100*ms, routing.Resuming, 2), becomes(5*time.Second, routing.Deployed, 2)}, nil, 5 * time.Second, 1},
		"failed, started again, failed again":     {routing.Failed, []moment{becomes(100*ms, routing.Resuming, 2), becomes(700*ms, routing.Failed, 2)}, hold.ErrFailed, 700 * ms, 1},
		"terminated meanwhile":                    {routing.Suspended, []moment{{time.Second, (*house).gone}}, hold.ErrGone, time.Second, 1},
		"a change that changes nothing":           {routing.Suspended, []moment{becomes(time.Second, routing.Suspended, 1), becomes(2*time.Second, routing.Deployed, 2)}, nil, 2 * time.Second, 1},
		"suspended again before it could be used": {routing.Suspended, []moment{becomes(ms, routing.Resuming, 2), becomes(time.Second, routing.Suspended, 2), becomes(2*time.Second, routing.Deployed, 3)}, nil, 2 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(c.status, 1)
				visit := h.visit(t.Context(), time.Minute)
				now := time.Duration(0)
				for _, m := range c.then {
					synctest.Wait()
					time.Sleep(m.at - now)
					now = m.at
					m.do(h)
				}
				got := <-visit
				if !errors.Is(got.err, c.err) || got.after != c.after {
					t.Errorf("got %v after %v, want %v after %v", got.err, got.after, c.err, c.after)
				}
				if n := h.wakes.Load(); n != c.wakes {
					t.Errorf("%d intents registered, want %d", n, c.wakes)
				}
			})
		})
	}
}

func TestRunningIsServedAtOnce(t *testing.T) {
	for _, status := range []routing.Status{routing.Deployed, routing.Unknown} {
		h := newHouse(routing.Pending, 1)
		h.becomes(status, 1)
		if in, err := h.Wait(t.Context(), &hold.Visit{Instance: id, Limit: time.Minute}); err != nil || in.Status != status {
			t.Errorf("%v: got %v, %v", status, in, err)
		}
	}
}

func TestTheVisitorLeavesAndTheWakeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		var woken error
		h.onWake = func(ctx context.Context) error {
			time.Sleep(time.Second)
			woken = ctx.Err()
			return nil
		}
		left := errors.New("the visitor left")
		ctx, leave := context.WithCancelCause(t.Context())
		visit := h.visit(ctx, time.Minute)
		synctest.Wait()
		leave(left)
		if got := <-visit; !errors.Is(got.err, left) || got.after != 0 {
			t.Errorf("got %+v, want the cause at once", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := h.wakes.Load(); n != 1 || woken != nil {
			t.Errorf("%d intents registered, the context of the last: %v", n, woken)
		}
	})
}

func TestAFailedWakeIsToldAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		away := errors.New("the store is away")
		h.onWake = func(context.Context) error { time.Sleep(time.Second); return away }
		visits := []<-chan outcome{h.visit(t.Context(), time.Minute), h.visit(t.Context(), time.Minute)}
		for _, v := range visits {
			if got := <-v; !errors.Is(got.err, hold.ErrNoWaking) || !errors.Is(got.err, away) {
				t.Errorf("got %v", got.err)
			}
		}
		if n := h.wakes.Load(); n != 1 {
			t.Errorf("%d intents registered, want 1", n)
		}
		h.onWake = func(context.Context) error { return nil }
		next := h.visit(t.Context(), time.Minute)
		synctest.Wait()
		h.becomes(routing.Deployed, 2)
		if got := <-next; got.err != nil {
			t.Error(got.err)
		}
		if n := h.wakes.Load(); n != 2 {
			t.Errorf("%d intents registered, want 2", n)
		}
	})
}

// The store goes away for a while after it has taken the intent: who waits for
// that goes on, and who comes meanwhile learns that nobody can be woken.
func TestAFailedRenewalIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		var away atomic.Bool
		h.onWake = func(context.Context) error {
			if away.Load() {
				time.Sleep(time.Second)
				return errors.New("away")
			}
			return nil
		}
		patient := []<-chan outcome{h.visit(t.Context(), time.Minute), h.visit(t.Context(), time.Minute), h.visit(t.Context(), 20*time.Second)}
		synctest.Wait()
		away.Store(true)
		time.Sleep(7 * time.Second) // the renewal fails after 6 s
		if got := <-h.visit(t.Context(), time.Minute); !errors.Is(got.err, hold.ErrNoWaking) || got.after != time.Second {
			t.Errorf("who came meanwhile got %v after %s", got.err, got.after)
		}
		if n := h.wakes.Load(); n != 3 {
			t.Errorf("%d intents after 8 s, want the first, its renewal and the newcomer's", n)
		}
		if got := <-patient[2]; !errors.Is(got.err, hold.ErrTimeout) || got.after != 20*time.Second {
			t.Errorf("got %v after %s", got.err, got.after)
		}
		if n := h.wakes.Load(); n != 5 {
			t.Errorf("%d intents after 20 s, want two more renewals", n)
		}
		away.Store(false)
		time.Sleep(5 * time.Second)
		h.becomes(routing.Resuming, 2)
		h.becomes(routing.Deployed, 2)
		for _, v := range patient[:2] {
			if got := <-v; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// Somebody who joined a start that another edge caused outlives the failure of
// the intent; it is not the next visitor's failure.
func TestAFailedWakeIsNotTheNextVisitors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		h.onWake = func(context.Context) error { time.Sleep(time.Second); return errors.New("away") }
		patient := h.visit(t.Context(), time.Minute)
		synctest.Wait()
		h.becomes(routing.Resuming, 2)
		time.Sleep(2 * time.Second)
		h.onWake = func(context.Context) error { return nil }
		h.route.Store(&routing.Instance{ID: id, Status: routing.Suspended, Generation: 2})
		next := h.visit(t.Context(), time.Minute)
		synctest.Wait()
		h.becomes(routing.Deployed, 3)
		for _, v := range []<-chan outcome{patient, next} {
			if got := <-v; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

// There is always somebody waiting, and the intent is lost: refused while a
// back-off lasted, or expired. It is registered again, and not by everybody.
func TestVisitorsThatNeverCeaseWakeAgain(t *testing.T) {
	for name, status := range map[string]routing.Status{"failed": routing.Failed, "suspended": routing.Suspended} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(status, 1)
				var visits []<-chan outcome
				for range 120 { // 12 s
					visits = append(visits, h.visit(t.Context(), time.Minute))
					time.Sleep(100 * time.Millisecond)
				}
				if n := h.wakes.Load(); n != 3 {
					t.Errorf("%d intents registered in 12 s, want 3", n)
				}
				h.becomes(routing.Deployed, 2)
				for _, v := range visits {
					<-v
				}
			})
		})
	}
}

func TestTheTimeOutIsEachVisitorsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Pending, 1)
		short, long := h.visit(t.Context(), time.Second), h.visit(t.Context(), time.Hour)
		if got := <-short; !errors.Is(got.err, hold.ErrTimeout) || got.after != time.Second {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Minute)
		h.becomes(routing.Deployed, 1)
		if got := <-long; got.err != nil {
			t.Error(got.err)
		}
	})
}
