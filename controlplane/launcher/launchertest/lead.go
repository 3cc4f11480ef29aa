package launchertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// lead makes l lead with an epoch above all that were led with.
func (f *Fixture) lead(t *testing.T, l launcher.Launcher) {
	t.Helper()
	f.epoch = max(f.epoch, 1) + 1
	if err := l.Lead(t.Context(), f.epoch); err != nil {
		t.Fatalf("lead with epoch %d: %v", f.epoch, err)
	}
}

// second opens another launcher beside the present one, which the suite goes
// on with. The first is closed with the test.
func (f *Fixture) second(t *testing.T) (first launcher.Launcher) {
	t.Helper()
	first = f.Launcher
	f.Launcher = f.Reopen(t)
	t.Cleanup(func() {
		if err := first.Close(context.Background(), true, 0); err != nil {
			t.Errorf("close who led before: %v", err)
		}
	})
	return first
}

// acts checks that every call of l that acts returns that error.
func (f *Fixture) acts(t *testing.T, l launcher.Launcher, want error) {
	t.Helper()
	if err := l.Start(t.Context(), f.Workload(t, ID, 50, Serves)); !errors.Is(err, want) {
		t.Errorf("start: %v, want %v", err, want)
	}
	if err := l.Stop(t.Context(), ID, 50, 0); !errors.Is(err, want) {
		t.Errorf("stop: %v, want %v", err, want)
	}
	if err := l.Remove(t.Context(), ID); !errors.Is(err, want) {
		t.Errorf("remove: %v, want %v", err, want)
	}
	for fact := range l.Observe(t.Context()) {
		t.Errorf("observed %+v", fact)
	}
}

func notLeading(t *testing.T, f *Fixture) {
	f.start(t, 1, Serves)
	ready := Observe(t, f.Launcher).Ready(ID, 1)
	f.Launcher.Resign()
	f.Launcher.Resign()
	f.acts(t, f.Launcher, launcher.ErrNotLeading)
	if !f.answers(ready.Endpoint) {
		t.Error("the workload has ended")
	}
	app := f.Workload(t, ID, 1, Serves).App
	if reasons := f.Launcher.Check(app); len(reasons) > 0 {
		t.Errorf("check: %v", reasons)
	}
	if reasons := f.Launcher.Check(&controlplane.App{AppMode: "none"}); len(reasons) == 0 {
		t.Error("check takes anything")
	}
	if text := readLogs(t, f.Launcher, launcher.LogOptions{}); f.RunsCode && text == "" {
		t.Error("the log is empty")
	}
	f.lead(t, f.Launcher)
	if err := f.Launcher.Lead(t.Context(), f.epoch+1); err == nil {
		t.Error("it leads twice at once")
	}
	f.start(t, 2, Serves)
	Observe(t, f.Launcher).Ready(ID, 2)
}

func resigns(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	ready := o.Ready(ID, 1)
	f.Launcher.Resign()
	for range o.facts {
	}
	if !f.answers(ready.Endpoint) {
		t.Fatal("resigning ended the workload")
	}
	f.lead(t, f.Launcher)
	all := Observe(t, f.Launcher).Initial()
	if f.Reopen == nil {
		return
	}
	if now := all[ID]; now.State != launcher.Ready || now.Endpoint != ready.Endpoint || now.Identity != ready.Identity {
		t.Errorf("leading again it has %+v, was %+v", now, ready)
	}
}

func olderEpoch(t *testing.T, f *Fixture) {
	f.Launcher.Resign()
	f.lead(t, f.Launcher)
	f.Launcher.Resign()
	if err := f.Launcher.Lead(t.Context(), f.epoch-1); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("lead with an older epoch: %v, want ErrFenced", err)
	}
	if err := f.Launcher.Lead(t.Context(), 0); err == nil {
		t.Error("epoch 0 leads")
	}
	f.acts(t, f.Launcher, launcher.ErrNotLeading)
	f.lead(t, f.Launcher)
	f.start(t, 1, Serves)
	Observe(t, f.Launcher).Ready(ID, 1)
}

func fencesAndAdopts(t *testing.T, f *Fixture) {
	early := Observe(t, f.Launcher)
	f.start(t, 7, Serves)
	ready := early.Ready(ID, 7)
	first := f.second(t)
	f.lead(t, f.Launcher)
	o := Observe(t, f.Launcher)
	if now := o.Initial()[ID]; now.State != launcher.Ready || now.Generation != 7 || now.Endpoint != ready.Endpoint || now.Identity != ready.Identity {
		t.Fatalf("adopted as %+v, was %+v", now, ready)
	}
	f.acts(t, first, launcher.ErrFenced)
	for range early.facts {
	}
	if err := first.Lead(t.Context(), f.epoch-1); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("leads again with its epoch: %v, want ErrFenced", err)
	}
	if !f.answers(ready.Endpoint) {
		t.Error("who led before has ended the workload")
	}
	f.start(t, 8, Serves)
	o.Ready(ID, 8)

	// And back.
	f.Launcher.Resign()
	f.lead(t, first)
	f.acts(t, f.Launcher, launcher.ErrNotLeading)
	if now := Observe(t, first).Initial()[ID]; now.State != launcher.Ready || now.Generation != 8 {
		t.Errorf("adopted back as %+v", now)
	}
}

// fencesStarts takes over at every moment of a start.
func fencesStarts(t *testing.T, f *Fixture) {
	for n := range 12 {
		g := int64(1 + 2*n)
		f.start(t, g, Serves)
		time.Sleep(time.Duration(n) * 3 * time.Millisecond)
		first := f.Launcher
		f.Launcher = f.Reopen(t)
		f.lead(t, f.Launcher)
		o := Observe(t, f.Launcher)
		if n%2 == 0 { // what was adopted is replaced, what was not never comes
			f.start(t, g+1, Serves)
			o.Ready(ID, g+1)
		} else if now, ok := o.Initial()[ID]; ok && now.State != launcher.Ended {
			o = Observe(t, f.Launcher)
			o.Ready(ID, g)
		}
		if err := first.Start(t.Context(), f.Workload(t, ID, g+100, Serves)); !errors.Is(err, launcher.ErrFenced) {
			t.Errorf("start by who led before: %v, want ErrFenced", err)
		}
		if err := first.Close(context.Background(), true, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// manyLeaders has launchers take over from each other while all of them start
// and stop. The workloads count themselves.
func manyLeaders(t *testing.T, f *Fixture) {
	launchers := []launcher.Launcher{f.Launcher, f.Reopen(t), f.Reopen(t)}
	for _, l := range launchers[1:] {
		t.Cleanup(func() {
			if err := l.Close(context.Background(), true, 0); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	var epoch sync.Mutex // whose number f.epoch is
	lead := func(l launcher.Launcher) {
		l.Resign()
		epoch.Lock()
		f.epoch = max(f.epoch, 1) + 1
		mine := f.epoch
		epoch.Unlock()
		if err := l.Lead(t.Context(), mine); err != nil && !errors.Is(err, launcher.ErrFenced) {
			t.Errorf("lead: %v", err)
		}
	}
	var sides sync.WaitGroup
	for _, l := range launchers {
		sides.Go(func() {
			for n := range 15 {
				g := int64(1 + n + rand.IntN(3))
				var err error
				switch rand.IntN(6) {
				case 0:
					lead(l)
				case 1:
					err = l.Stop(t.Context(), ID, g, 20*time.Millisecond)
				default:
					w := f.Workload(t, ID, g, []Behaviour{Serves, SlowStart, Stubborn}[rand.IntN(3)])
					w.StopGrace = 50 * time.Millisecond
					err = l.Start(t.Context(), w)
				}
				if err != nil && !errors.Is(err, launcher.ErrFenced) && !errors.Is(err, launcher.ErrNotLeading) {
					t.Errorf("%v", err)
				}
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
		})
	}
	sides.Wait()
	lead(f.Launcher)
	o := Observe(t, f.Launcher)
	f.start(t, 100, Serves)
	o.Ready(ID, 100)
}
