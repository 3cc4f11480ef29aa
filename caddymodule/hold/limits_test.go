package hold_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

func visitBy(user string) hold.Visit {
	return hold.Visit{Limit: time.Minute, Visitor: controlplane.Visitor{User: user}}
}

// takeBack is what a control plane does with an intent of a user who has
// started enough.
func (h *house) takeBack(user string) {
	h.limited.Store(&user)
	h.Room.Limited(func(v controlplane.Visitor) bool { return v.User == user })
}

func wantLimited(t *testing.T, got outcome) {
	t.Helper()
	limited, ok := errors.AsType[*hold.LimitedError](got.err)
	if !ok || !limited.Until.Equal(restUntil) {
		t.Errorf("got %v after %s, want a limit until %s", got.err, got.after, restUntil)
	}
}

func TestWhoStartsNothingIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		h.takeBack("mallory")
		if got := <-h.visitOf(t.Context(), visitBy("mallory")); got.after != 0 {
			t.Errorf("after %s", got.after)
		} else {
			wantLimited(t, got)
		}
		if n := h.wakes.Load(); n != 0 {
			t.Errorf("%d intents", n)
		}
		// He joins what others have begun.
		ann := h.visitOf(t.Context(), visitBy("ann"))
		synctest.Wait()
		joined := h.visitOf(t.Context(), visitBy("mallory"))
		synctest.Wait()
		time.Sleep(20 * time.Second) // the intent is registered again meanwhile
		h.becomes(routing.Resuming, 2)
		started := h.visitOf(t.Context(), visitBy("mallory"))
		synctest.Wait()
		h.becomes(routing.Deployed, 2)
		for _, v := range []<-chan outcome{ann, joined, started} {
			if got := <-v; got.err != nil {
				t.Error(got.err)
			}
		}
	})
}

func TestAQueuedStartIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []routing.Status{routing.Suspended, routing.Failed} {
			h := newHouse(status, 1)
			h.progress.Store(&controlplane.Progress{Generation: 1, Stage: controlplane.StageQueued, Queue: 3})
			h.takeBack("mallory")
			joined := h.visitOf(t.Context(), visitBy("mallory"))
			time.Sleep(10 * time.Second)
			h.becomes(routing.Deployed, 2)
			if got := <-joined; got.err != nil {
				t.Errorf("%v: %v", status, got.err)
			}
		}
	})
}

// The start was another's, too: he gets it with an intent of his own, which
// stays his when it is registered again.
func TestAnIntentThatWasTakenBackIsRegisteredForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		first := h.visitOf(t.Context(), visitBy("mallory"))
		synctest.Wait()
		second := h.visitOf(t.Context(), visitBy("ann"))
		synctest.Wait()
		if n := h.wakes.Load(); n != 1 {
			t.Fatalf("%d intents", n)
		}
		time.Sleep(time.Second)
		h.takeBack("mallory")
		synctest.Wait()
		for n := int64(2); n < 6; n++ {
			if got, who := h.wakes.Load(), *h.woke.Load(); got != n || who != "ann" {
				t.Errorf("%d intents, the last by %q; want %d", got, who, n)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		h.becomes(routing.Deployed, 2)
		if got := <-second; got.err != nil {
			t.Error(got.err)
		}
		// Who looked after ann had asked has joined her.
		if got := <-first; got.err != nil {
			wantLimited(t, got)
		}
	})
}

func visitFrom(source string) hold.Visit {
	return hold.Visit{Limit: time.Minute, Visitor: controlplane.Visitor{Source: source}}
}

func TestPlacesAreLimited(t *testing.T) {
	for name, c := range map[string]struct {
		limits hold.Limits
		taken  hold.Places
	}{
		"of the instance": {hold.Limits{Instance: 2, Source: 1000, Edge: 1000}, hold.PlacesOfInstance},
		"of the edge":     {hold.Limits{Instance: 1000, Source: 1000, Edge: 2}, hold.PlacesOfEdge},
		"of the source":   {hold.Limits{Instance: 1000, Source: 2, Edge: 1000}, hold.PlacesOfSource},
		"of all of them":  {hold.Limits{Instance: 2, Source: 2, Edge: 2}, hold.PlacesOfSource},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(routing.Pending, 1)
				h.SetLimits(c.limits)
				visit := func() <-chan outcome { return h.visitOf(t.Context(), visitFrom("203.0.113.7")) }
				one, two := visit(), visit()
				synctest.Wait()
				for range 2 {
					got := <-visit()
					full, ok := errors.AsType[*hold.FullError](got.err)
					if !ok || full.Taken != c.taken || got.after != 0 {
						t.Errorf("got %v after %s", got.err, got.after)
					}
				}
				h.becomes(routing.Deployed, 1)
				<-one
				<-two
				h.becomes(routing.Pending, 1)
				three := visit()
				synctest.Wait()
				h.becomes(routing.Deployed, 1)
				if got := <-three; got.err != nil {
					t.Errorf("places were not given back: %v", got.err)
				}
			})
		})
	}
}

func TestWhoIsCountedAsASource(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		served bool
	}{
		"the source":       {"203.0.113.7", false},
		"another":          {"203.0.113.8", true},
		"another's /64":    {"2001:db8::/64", true},
		"this machine":     {"127.0.0.1", true},
		"this machine's 6": {"::/64", true},
		"not known":        {"", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(routing.Pending, 1)
				h.SetLimits(hold.Limits{Instance: 1000, Source: 2, Edge: 1000})
				var all []<-chan outcome
				for range 2 {
					all = append(all, h.visitOf(t.Context(), visitFrom("203.0.113.7")), h.visitOf(t.Context(), visitFrom("127.0.0.1")),
						h.visitOf(t.Context(), visitFrom("::/64")), h.visitOf(t.Context(), visitFrom("")))
				}
				synctest.Wait()
				v := h.visitOf(t.Context(), visitFrom(c.source))
				synctest.Wait()
				h.becomes(routing.Deployed, 1)
				if got := <-v; (got.err == nil) != c.served {
					t.Error(got.err)
				}
				for _, v := range all {
					if got := <-v; got.err != nil {
						t.Error(got.err)
					}
				}
			})
		})
	}
}

func TestABackOffIsToldWithoutAnIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Failed, 1)
		h.progress.Store(&controlplane.Progress{Generation: 1, RetryAt: time.Now().Add(10 * time.Second)})
		for range 1000 {
			if got := <-h.visit(t.Context(), time.Minute); !errors.Is(got.err, hold.ErrFailed) || got.after != 0 {
				t.Fatalf("got %v after %s", got.err, got.after)
			}
		}
		if n := h.wakes.Load(); n != 0 {
			t.Errorf("%d intents", n)
		}
		time.Sleep(10 * time.Second)
		v := h.visit(t.Context(), time.Minute)
		synctest.Wait()
		h.becomes(routing.Resuming, 2)
		h.becomes(routing.Deployed, 2)
		if got := <-v; got.err != nil || h.wakes.Load() != 1 {
			t.Errorf("after the back-off: %v, %d intents", got.err, h.wakes.Load())
		}
	})
}

func TestWhoMayWake(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy routing.WakePolicy
		user   string
		may    bool
	}{
		{"everybody", routing.WakeVisitors, "", true},
		{"the owner", routing.WakeOwner, "ann", true},
		{"not the owner", routing.WakeOwner, "bea", false},
		{"nobody signed in", routing.WakeOwner, "", false},
		{"nobody", routing.WakeNever, "ann", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(routing.Suspended, 1)
				h.route.Store(&routing.Instance{ID: id, Status: routing.Suspended, Owner: "ann", Wake: tc.policy})
				v := h.visitOf(t.Context(), visitBy(tc.user))
				synctest.Wait()
				if woke := h.wakes.Load() == 1; woke != tc.may {
					t.Errorf("woke %v", woke)
				}
				h.becomes(routing.Deployed, 1)
				if got := <-v; errors.Is(got.err, hold.ErrMayNotWake) == tc.may {
					t.Error(got.err)
				}
				// A start that another began is for all who may come.
				h.route.Store(&routing.Instance{ID: id, Status: routing.Resuming, Owner: "ann", Wake: tc.policy})
				v = h.visitOf(t.Context(), visitBy(tc.user))
				synctest.Wait()
				h.becomes(routing.Deployed, 2)
				if got := <-v; got.err != nil {
					t.Error(got.err)
				}
			})
		})
	}
}

func TestAnAsynchronousVisitWakesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []routing.Status{routing.Suspended, routing.Resuming, routing.Failed} {
			h := newHouse(status, 1)
			got := <-h.visitOf(t.Context(), hold.Visit{Limit: time.Minute, Async: true})
			if !errors.Is(got.err, hold.ErrAccepted) || got.after != 0 {
				t.Errorf("%v: %v after %s", status, got.err, got.after)
			}
			if want := status != routing.Resuming; (h.wakes.Load() == 1) != want {
				t.Errorf("%v: %d intents", status, h.wakes.Load())
			}
		}
		h := newHouse(routing.Suspended, 1)
		h.onWake = func(context.Context) error { return errors.New("away") }
		if got := <-h.visitOf(t.Context(), hold.Visit{Limit: time.Minute, Async: true}); !errors.Is(got.err, hold.ErrNoWaking) {
			t.Errorf("nobody can be woken: %v", got.err)
		}
	})
}

func TestAWatchTellsOfTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(routing.Suspended, 1)
		told := make(chan string, 100)
		ended := make(chan error, 1)
		go func() {
			v := visitBy("ann")
			v.Instance = id
			ended <- h.Watch(t.Context(), &v, 15*time.Second, func(in *routing.Instance, news bool) error {
				if !news {
					told <- "beat"
					return nil
				}
				stage := ""
				if p := h.progress.Load(); p != nil {
					stage = " " + string(p.Stage)
				}
				told <- in.Status.String() + stage
				return nil
			})
		}()
		synctest.Wait()
		h.becomes(routing.Resuming, 2)
		synctest.Wait()
		h.progress.Store(&controlplane.Progress{Stage: controlplane.StageDependencies})
		h.Told([]routing.ID{id, {9}})
		synctest.Wait()
		time.Sleep(20 * time.Second)
		h.progress.Store(nil)
		h.becomes(routing.Failed, 2)
		time.Sleep(time.Minute) // nobody starts it again
		if n := h.wakes.Load(); n != 1 {
			t.Errorf("%d intents", n)
		}
		h.becomes(routing.Deployed, 3)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(told)
		got := ""
		for line := range told {
			got += line + "\n"
		}
		want := "SUSPENDED\nSUSPENDED\nRESUMING\nRESUMING dependencies\nbeat\nFAILED\nbeat\nbeat\nbeat\nbeat\n"
		if got != want {
			t.Errorf("told\n%s, want\n%s", got, want)
		}
	})
}
