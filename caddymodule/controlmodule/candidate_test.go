package controlmodule

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// leader waits until somebody leads, and returns their name.
func (h *house) leader(t *testing.T) (name string) {
	t.Helper()
	eventually(t, "somebody leads", func() bool {
		l, err := h.Store.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if l != nil {
			name = l.Name
		}
		return l != nil
	})
	return name
}

func TestOfTwoControlPlanesOneLeads(t *testing.T) {
	one, two := newHouse(t, "one", "here"), newHouse(t, "two", "here")
	stop := one.run(t)
	opened(t, one.settled)
	if got := one.leader(t); got != "one" {
		t.Fatalf("%s leads", got)
	}
	two.run(t)
	opened(t, two.settled) // it waits for no work that is another's
	if n := two.logs.FilterMessage("another control plane leads").FilterField(zap.String("name", "one")).Len(); n != 1 {
		t.Errorf("it says %d times that one leads: %v", n, two.logs.All())
	}
	if len(two.yard.epochs) != 0 || two.counts.term.Load() != nil {
		t.Errorf("two leads with epochs %v", two.yard.epochs)
	}
	epoch := one.yard.epochs[0]
	if now := one.counts.term.Load(); now == nil || now.epoch != epoch {
		t.Errorf("one leads with epoch %d, and its metrics say %+v", epoch, now)
	}
	stop()
	if one.yard.resigns != 1 || one.counts.term.Load() != nil {
		t.Errorf("it leads no more: %d resignations, and its metrics say %+v", one.yard.resigns, one.counts.term.Load())
	}
	if len(one.yard.closes) != 0 {
		t.Errorf("its workloads were to end: %v", one.yard.closes)
	}
	eventually(t, "two leads", func() bool { return two.counts.term.Load() != nil })
	if next := two.counts.term.Load().epoch; next <= epoch {
		t.Errorf("epoch %d comes after %d", next, epoch)
	}
}

// A launcher that cannot take over leaves the leadership to those whose can.
func TestWhoCannotLeadLeavesItToOthers(t *testing.T) {
	broken, whole := newHouse(t, "broken", "here"), newHouse(t, "whole", "here")
	broken.yard.fails = errors.New("its folder is gone")
	broken.run(t)
	eventually(t, "it has tried", func() bool { return broken.logs.FilterMessage("this control plane cannot lead").Len() > 0 })
	opened(t, broken.settled)
	whole.run(t)
	eventually(t, "whole leads", func() bool { return whole.counts.term.Load() != nil })
	if broken.counts.term.Load() != nil {
		t.Error("the metrics of who cannot lead say that it does")
	}
	if got := whole.leader(t); got != "whole" {
		t.Errorf("%s leads", got)
	}
}

// Who waits for a start is told while nobody can begin it.
func TestThatNobodyActsIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		hinder func(*house)
		told   string
	}{
		{"the launcher fails", func(h *house) { h.yard.fails = errors.New("its rights are gone") }, nobodyActs},
		{"the launcher hangs", func(h *house) { h.yard.hangs = true }, takingOver},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, "one", "here")
			c.hinder(h)
			said := func(status controlplane.Status, p controlplane.Progress) func() string {
				in := instance(t, h.Store, "yard")
				update(t, h.Store, func(tx controlplane.Tx) error {
					in, err := tx.Instance(in.ID)
					if err != nil {
						return err
					}
					in.Status, p.Generation = status, in.Generation
					tx.PutProgress(in.ID, &p)
					return tx.Put(in)
				})
				return func() (text string) {
					update(t, h.Store, func(tx controlplane.Tx) error {
						p, err := tx.Progress(in.ID)
						if err == nil && p != nil {
							text = p.Text
						}
						return err
					})
					return text
				}
			}
			starts := said(controlplane.Resuming, controlplane.Progress{Stage: controlplane.StageQueued})
			speaks := said(controlplane.Pending, controlplane.Progress{Stage: controlplane.StageQueued, Text: "loading", Said: time.Now()})
			sleeps := said(controlplane.Suspended, controlplane.Progress{})
			stop := h.run(t)
			eventually(t, "it is told", func() bool { return starts() == c.told })
			if got := speaks(); got != "loading" {
				t.Errorf("in place of the app's own words: %q", got)
			}
			if got := sleeps(); got != "" {
				t.Errorf("of one that sleeps is told %q", got)
			}

			stop()
			next := newHouse(t, "two", "here")
			next.run(t)
			eventually(t, "it is taken back", func() bool { return starts() == "" })
		})
	}
}

func TestWhoseInstancesAreElsewhereDoesNotLead(t *testing.T) {
	h := newHouse(t, "one", "here")
	update(t, h.Store, func(tx controlplane.Tx) error {
		tx.PutPlace("yard", controlplane.Place{ID: "there", Host: "machine-2"})
		return nil
	})
	instance(t, h.Store, "yard")
	h.run(t)
	opened(t, h.settled)
	if said := h.logs.FilterMessage("this control plane answers people and does not lead"); said.Len() != 1 {
		t.Errorf("it says %v", h.logs.All())
	}
	if l, err := h.Store.Leader(t.Context()); l != nil || err != nil {
		t.Errorf("%+v leads, %v", l, err)
	}
}

// Only workloads of launchers that say so end with their control plane, and only
// if that is about to end.
func TestWhatEndsWithItsControlPlane(t *testing.T) {
	for name, c := range map[string]struct {
		ending, stops bool
		closes        int
	}{
		"it stops, and they are to":   {true, true, 1},
		"it stops, and they go on":    {true, false, 0},
		"it is deposed, and goes on":  {false, true, 0},
		"it is deposed, and they too": {false, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "one", "here")
			h.modules["yard"] = module{stopsOnExit: c.stops}
			h.ending.Store(c.ending)
			h.resign()
			if len(h.yard.closes) != c.closes || c.closes > 0 && !h.yard.closes[0] {
				t.Errorf("closed with %v", h.yard.closes)
			}
			if h.yard.resigns == 0 {
				t.Error("it leads still")
			}
		})
	}
}

func TestTheLeadersSettingsAreThoseThatEdgesObey(t *testing.T) {
	h := newHouse(t, "one", "here")
	published := func() (s *controlplane.EdgeSettings) {
		t.Helper()
		update(t, h.Store, func(tx controlplane.Tx) (err error) {
			s, err = tx.EdgeSettings()
			return err
		})
		return s
	}
	publish := func() {
		t.Helper()
		if err := h.publish(t.Context(), h.Store); err != nil {
			t.Fatal(err)
		}
	}
	differ := func() int { return h.logs.FilterLevelExact(zap.WarnLevel).FilterFieldKey("before").Len() }
	publish()
	if got := published(); got == nil || *got != (controlplane.EdgeSettings{}) || differ() != 0 {
		t.Errorf("published is %+v, after %d warnings", got, differ())
	}
	h.Settings.PublicMode, *h.Settings.BaseURLSharing = true, true
	publish()
	if got := published(); got == nil || *got != (controlplane.EdgeSettings{PublicMode: true, BaseURLSharing: true}) || differ() != 1 {
		t.Errorf("published is %+v, after %d warnings", got, differ())
	}
	publish()
	if differ() != 1 {
		t.Error("the same settings are said to differ")
	}
	if h.logs.FilterMessageSnippet("base_url_sharing is on").Len() != 2 {
		t.Error("nobody is told what base_url_sharing means")
	}
}
