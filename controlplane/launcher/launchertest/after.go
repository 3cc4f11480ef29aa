package launchertest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func readLogs(t *testing.T, l launcher.Launcher, o launcher.LogOptions) string {
	t.Helper()
	r, err := l.Logs(t.Context(), ID, o)
	if err != nil {
		t.Fatalf("open logs: %v", err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read logs: %v", err)
	}
	return string(text)
}

func logs(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Crashes)
	o.Ended(ID, 1)
	if text := readLogs(t, f.Launcher, launcher.LogOptions{}); !strings.Contains(text, "it will not do") {
		t.Errorf("current log is %q", text)
	}
	if text := readLogs(t, f.Launcher, launcher.LogOptions{Previous: true}); text != "" {
		t.Errorf("previous log of a first run is %q", text)
	}
	f.start(t, 2, Serves)
	o.Ready(ID, 2)
	if text := readLogs(t, f.Launcher, launcher.LogOptions{}); !strings.Contains(text, "it serves") || strings.Contains(text, "it will not do") {
		t.Errorf("current log is %q", text)
	}
	if text := readLogs(t, f.Launcher, launcher.LogOptions{Previous: true}); !strings.Contains(text, "it will not do") {
		t.Errorf("previous log is %q", text)
	}
}

func emptyLogs(t *testing.T, f *Fixture) {
	for _, o := range []launcher.LogOptions{{}, {Previous: true}} {
		if text := readLogs(t, f.Launcher, o); text != "" {
			t.Errorf("%+v: %q", o, text)
		}
	}
}

// followLogs reads by a launcher that does not lead, where there can be one.
func followLogs(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asked := f.Launcher
	if f.Reopen != nil {
		asked = f.Reopen(t)
		defer func() {
			if err := asked.Close(context.Background(), false, 0); err != nil {
				t.Error(err)
			}
		}()
	}
	r, err := asked.Logs(ctx, ID, launcher.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := bufio.NewScanner(r)
	await := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("the log ended before %q: %v", want, lines.Err())
	}
	f.start(t, 1, Crashes)
	await("it will not do")
	o.Ended(ID, 1)
	f.start(t, 2, Serves)
	await("serves has started")
	await("it serves")
	if text := readLogs(t, asked, launcher.LogOptions{Previous: true}); !strings.Contains(text, "it will not do") {
		t.Errorf("previous log is %q", text)
	}
	if err := f.Launcher.Remove(t.Context(), ID); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if ctx.Err() != nil {
		t.Error("the log goes on after the instance was removed")
	}

	// A reader's Close ends a Read that waits, and so does its context.
	for _, end := range []string{"close", "context"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := asked.Logs(ctx, ID, launcher.LogOptions{Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(io.Discard, r) }()
		time.Sleep(20 * time.Millisecond)
		if end == "close" {
			r.Close()
		} else {
			cancel()
		}
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("%s does not end a reader", end)
		}
		r.Close()
	}
}

func closeStops(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	ready := o.Ready(ID, 1)
	if err := f.Launcher.Close(t.Context(), true, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	f.gone(t, ready.Endpoint)
	for range o.facts {
	}
	if err := f.Launcher.Start(t.Context(), f.Workload(t, ID, 2, Serves)); err == nil {
		t.Error("a closed launcher starts workloads")
	}
}

func (f *Fixture) reopen(t *testing.T) {
	t.Helper()
	if err := f.Launcher.Close(t.Context(), false, 0); err != nil {
		t.Fatalf("close: %v", err)
	}
	f.Launcher = f.Reopen(t)
	f.lead(t, f.Launcher)
}

func adopts(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 1, Serves)
	before := o.Ready(ID, 1)
	f.reopen(t)
	o = Observe(t, f.Launcher)
	if !f.answers(before.Endpoint) {
		t.Fatal("closing ended the workload")
	}
	if now := o.Initial()[ID]; now.State != launcher.Ready || now.Endpoint != before.Endpoint ||
		now.Identity != before.Identity || now.Generation != 1 {
		t.Fatalf("adopted as %+v, was %+v", now, before)
	}
	f.start(t, 1, Serves)
	f.End(t, before)
	if end := o.Ended(ID, 1); !end.WasReady || end.Reason == nil {
		t.Errorf("end %+v (%v)", end, end.Reason)
	}

	// One that was starting goes on starting.
	f.start(t, 2, SlowStart)
	if f.RunsCode {
		time.Sleep(150 * time.Millisecond)
	}
	f.reopen(t)
	o = Observe(t, f.Launcher)
	f.start(t, 2, SlowStart)
	ready := o.Ready(ID, 2)

	// And one that ended while nobody looked has ended.
	if err := f.Launcher.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	f.End(t, ready)
	time.Sleep(50 * time.Millisecond)
	f.Launcher = f.Reopen(t)
	f.lead(t, f.Launcher)
	if now := Observe(t, f.Launcher).Ended(ID, 2); !now.WasReady || now.Reason == nil {
		t.Errorf("ended unwatched: %+v (%v)", now, now.Reason)
	}
}

func fencedAcrossReopen(t *testing.T, f *Fixture) {
	o := Observe(t, f.Launcher)
	f.start(t, 5, Serves)
	ready := o.Ready(ID, 5)
	f.stop(t, 6, time.Second)
	f.reopen(t)
	f.gone(t, ready.Endpoint)
	if err := f.Launcher.Start(t.Context(), f.Workload(t, ID, 5, Serves)); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("start of an older generation: %v, want ErrFenced", err)
	}
	f.start(t, 7, Serves)
	Observe(t, f.Launcher).Ready(ID, 7)
}

// atMostOne calls everything from several sides at once; the workloads count
// themselves, and the suite looks at their notes when it closes.
func atMostOne(t *testing.T, f *Fixture) {
	behaviours := []Behaviour{Serves, SlowStart, Crashes, Stubborn}
	var sides sync.WaitGroup
	for side := range 4 {
		sides.Go(func() {
			for n := range 12 {
				g := int64(1 + n + rand.IntN(3))
				var err error
				switch rand.IntN(6) {
				case 0:
					err = f.Launcher.Stop(t.Context(), ID, g, 20*time.Millisecond)
				case 1:
					if side == 0 {
						err = f.Launcher.Remove(t.Context(), ID)
					}
				default:
					w := f.Workload(t, ID, g, behaviours[rand.IntN(len(behaviours))])
					w.StopGrace = 50 * time.Millisecond
					err = f.Launcher.Start(t.Context(), w)
				}
				if err != nil && !errors.Is(err, launcher.ErrFenced) {
					t.Errorf("side %d: %v", side, err)
				}
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
		})
	}
	sides.Wait()
	o := Observe(t, f.Launcher)
	f.start(t, 100, Serves)
	o.Ready(ID, 100)
}
