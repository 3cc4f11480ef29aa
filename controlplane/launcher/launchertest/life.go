package launchertest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func (f *Fixture) answers(endpoint string) bool {
	if f.Answers != nil {
		return f.Answers(endpoint)
	}
	c, err := net.DialTimeout("tcp", endpoint, 10*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func becomesReady(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	ready := o.Ready(ID, 1)
	if !f.answers(ready.Endpoint) {
		t.Errorf("%s does not answer", ready.Endpoint)
	}
	if ready.At.IsZero() || ready.Reason != nil {
		t.Errorf("fact %+v: want a time and no reason", ready)
	}
}

func startsSlowly(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	begin := time.Now()
	f.start(t, 1, SlowStart)
	if d := time.Since(begin); d > 400*time.Millisecond {
		t.Errorf("Start took %s: it waits", d)
	}
	o.Await("starting", func(f launcher.Fact) bool {
		return f.InstanceID == ID && f.State == launcher.Starting && f.Stage != ""
	})
	o.Ready(ID, 1)
	if d := time.Since(begin); d < 400*time.Millisecond {
		t.Errorf("ready after %s, before it served", d)
	}
}

func startIsIdempotent(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	w := f.Workload(t, ID, 1, Serves)
	for range 3 {
		if err := f.Launcher.Start(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	ready := o.Ready(ID, 1)
	if err := f.Launcher.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if now := Observe(t, f.Launcher).Initial()[ID]; now.State != launcher.Ready || now.Endpoint != ready.Endpoint || now.Identity != ready.Identity {
		t.Errorf("now %+v, want what was ready before", now)
	}
}

func newerReplaces(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	first := o.Ready(ID, 1)
	f.start(t, 2, Serves)
	second := o.Ready(ID, 2)
	if first.Endpoint != second.Endpoint {
		f.gone(t, first.Endpoint)
	}
	if first.Identity != "" && first.Identity == second.Identity {
		t.Errorf("two workloads have the identity %s", first.Identity)
	}
	f.start(t, 3, SlowStart)
	f.start(t, 4, Serves)
	o.Ready(ID, 4)
}

func olderIsFenced(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 5, Serves)
	ready := o.Ready(ID, 5)
	older := f.Workload(t, ID, 4, Serves)
	if err := f.Launcher.Start(t.Context(), older); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("start of an older generation: %v, want ErrFenced", err)
	}
	if err := f.Launcher.Stop(t.Context(), ID, 4, 0); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("stop of an older generation: %v, want ErrFenced", err)
	}
	if !f.answers(ready.Endpoint) {
		t.Error("fenced calls ended the workload")
	}
	f.stop(t, 9, time.Second)
	if err := f.Launcher.Start(t.Context(), f.Workload(t, ID, 8, Serves)); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("start older than a stop: %v, want ErrFenced", err)
	}
}

func stopIsIdempotent(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	ready := o.Ready(ID, 1)
	f.stop(t, 1, 5*time.Second)
	f.gone(t, ready.Endpoint)
	if end := o.Ended(ID, 1); end.Reason != nil || !end.WasReady {
		t.Errorf("end %+v (%v), want one without a reason", end, end.Reason)
	}
	f.stop(t, 1, 0)
	f.start(t, 2, Serves)
	o.Ready(ID, 2)
}

func stopWhileStarting(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	slow, mostSlow := 0, 0
	if f.Contained {
		mostSlow = 2
	}
	for g := range int64(8) {
		b := SlowStart
		if g%2 == 1 {
			b = NeverOpen
		}
		f.start(t, g+1, b)
		time.Sleep(time.Duration(g) * 10 * time.Millisecond)
		begin := time.Now()
		f.stop(t, g+1, 5*time.Second)
		if d := time.Since(begin); d > 4*time.Second {
			if slow++; slow > mostSlow || d > 20*time.Second {
				t.Errorf("stop took %s", d)
			}
		}
		if end := o.Ended(ID, g+1); end.Reason != nil || end.WasReady {
			t.Errorf("end %+v (%v), want one without a reason, never ready", end, end.Reason)
		}
	}
}

func forced(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Stubborn)
	ready := o.Ready(ID, 1)
	begin := time.Now()
	f.stop(t, 1, 300*time.Millisecond)
	if d := time.Since(begin); d < 250*time.Millisecond || d > 20*time.Second { // 30 s is what it has by default
		t.Errorf("forced after %s, want the grace of 300 ms", d)
	}
	f.gone(t, ready.Endpoint)
	if end := o.Ended(ID, 1); end.Reason != nil {
		t.Errorf("end has reason %v", end.Reason)
	}
}

func crash(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	w := f.Workload(t, ID, 1, Crashes)
	w.HealthTimeout = time.Hour
	if err := f.Launcher.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	end := o.Ended(ID, 1)
	if end.WasReady || end.Reason == nil || end.Reason.Code != controlplane.Crashed || end.Reason.Text == "" {
		t.Errorf("end %+v (%v), want crashed", end, end.Reason)
	}
	f.start(t, 2, Serves)
	o.Ready(ID, 2)
}

func neverOpens(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	w := f.Workload(t, ID, 1, NeverOpen)
	w.HealthTimeout = 300 * time.Millisecond
	begin := time.Now()
	if err := f.Launcher.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	end := o.Ended(ID, 1)
	if end.WasReady || end.Reason == nil || end.Reason.Code != controlplane.PortNeverOpened {
		t.Errorf("end %+v (%v), want port_never_opened", end, end.Reason)
	}
	if d := time.Since(begin); d < 300*time.Millisecond {
		t.Errorf("given up after %s", d)
	}
}

func endAfterReady(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	f.End(t, o.Ready(ID, 1))
	end := o.Ended(ID, 1)
	if !end.WasReady || end.Reason == nil || end.Reason.Code != controlplane.Crashed {
		t.Errorf("end %+v (%v), want crashed after ready", end, end.Reason)
	}
	time.Sleep(200 * time.Millisecond)
	if now := Observe(t, f.Launcher).Initial()[ID]; now.State != launcher.Ended {
		t.Errorf("now %+v: a launcher restarts nothing", now)
	}
}

func observers(t *testing.T, f *Fixture) {
	early := []*Observer{Observe(t, f.Launcher), Observe(t, f.Launcher)}
	for _, o := range early {
		if all := o.Initial(); len(all) != 0 {
			t.Errorf("a launcher with nothing in it knows %v", all)
		}
	}
	f.start(t, 1, Serves)
	for _, o := range early {
		o.Ready(ID, 1)
	}
	late := Observe(t, f.Launcher)
	if now := late.Initial()[ID]; now.State != launcher.Ready || now.Endpoint == "" || now.Generation != 1 {
		t.Errorf("a late observer begins with %+v", now)
	}
	f.stop(t, 1, time.Second)
	for _, o := range append(slices.Clone(early), late) {
		o.Ended(ID, 1)
	}
}

func observeEnds(t *testing.T, f *Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	facts := f.Launcher.Observe(ctx)
	cancel()
	timeout := time.After(patience)
	for {
		select {
		case _, ok := <-facts:
			if !ok {
				return
			}
		case <-timeout:
			t.Fatal("the channel stays open")
		}
	}
}

func removeForgets(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 7, Stubborn)
	ready := o.Ready(ID, 7)
	begin := time.Now()
	if err := f.Launcher.Remove(t.Context(), ID); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("remove took %s", d)
	}
	f.gone(t, ready.Endpoint)
	if all := Observe(t, f.Launcher).Initial(); len(all) != 0 {
		t.Errorf("after it was removed: %v", all)
	}
	r, err := f.Launcher.Logs(t.Context(), ID, launcher.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(r); len(text) > 0 {
		t.Errorf("logs outlive the instance: %q", text)
	}
	r.Close()
	f.start(t, 1, Serves)
	Observe(t, f.Launcher).Ready(ID, 1)
}

func nothingThere(t *testing.T, f *Fixture) {
	for range 2 {
		f.stop(t, 1, time.Second)
		if err := f.Launcher.Remove(t.Context(), ID); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if all := Observe(t, f.Launcher).Initial(); len(all) != 0 {
		t.Errorf("out of nothing came %v", all)
	}
}
