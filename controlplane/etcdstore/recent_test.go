package etcdstore_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// A leader's transaction takes up what its last one has left, asks nobody, and
// is made again where that was old.
func TestALeaderRemembersWhatItWrote(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	in := newInstance(app)
	w.put(app, in)
	l := w.campaign("one", w.Store).leads(t)
	// seen is the place in the queue that each run of a transaction found.
	step := func(change func(controlplane.Tx, *controlplane.Instance) error) (seen []int, err error) {
		_, err = l.Store.Update(t.Context(), func(tx controlplane.Tx) error {
			if err := tx.ReadAhead(in); err != nil {
				return err
			}
			p, err := tx.Progress(in.ID)
			if err != nil {
				return err
			}
			if p == nil {
				p = new(controlplane.Progress)
			}
			seen = append(seen, p.Queue)
			now, err := tx.Instance(in.ID)
			if err != nil {
				return err
			}
			if err := change(tx, now); err != nil {
				return err
			}
			in = now
			return nil
		})
		return seen, err
	}
	restart := func(tx controlplane.Tx, now *controlplane.Instance) error {
		now.Restarts++
		return tx.Put(now)
	}
	queued := func(tx controlplane.Tx, place int) { tx.PutProgress(in.ID, &controlplane.Progress{Queue: place}) }
	meddle := func(place int) {
		w.update(func(tx controlplane.Tx) error { queued(tx, place); return nil })
	}
	wanted := errors.New("no")
	for _, c := range []struct {
		name   string
		meddle func()
		change func(controlplane.Tx, *controlplane.Instance) error
		seen   []int
		err    error
	}{
		{"the first one asks", func() {}, restart, []int{0}, nil},
		{"what others changed of the rest is old once", func() { meddle(1) }, restart, []int{0, 1}, nil},
		{"and known then", func() {}, restart, []int{1}, nil},
		{"what it wrote itself", func() {}, func(tx controlplane.Tx, now *controlplane.Instance) error {
			queued(tx, 2)
			return restart(tx, now)
		}, []int{1}, nil},
		{"is what it finds", func() {}, restart, []int{2}, nil},
		{"an error of something old is looked at again", func() { meddle(3) },
			func(controlplane.Tx, *controlplane.Instance) error { return wanted }, []int{2, 3}, wanted},
		{"and so is a transaction without a change", func() {}, restart, []int{3}, nil},
		{"that found something old", func() { meddle(4) },
			func(controlplane.Tx, *controlplane.Instance) error { return nil }, []int{3, 4}, nil},
		{"what others deleted", func() {}, restart, []int{4}, nil},
		{"is not there", func() { w.update(func(tx controlplane.Tx) error { return tx.Delete(in) }) }, restart, []int{4, 0}, nil},
	} {
		c.meddle()
		seen, err := step(c.change)
		if c.name == "is not there" {
			if controlplane.CodeOf(err) != controlplane.CodeNotFound {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !slices.Equal(seen, c.seen) {
			t.Errorf("%s: the runs saw %v, want %v", c.name, seen, c.seen)
		}
	}
	stored, err := w.Instance(t.Context(), in.ID)
	if controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Errorf("the instance is %v, %v", stored, err)
	}
}

// A record that others have changed is known by the watch before its next step.
func TestALeaderAsksForWhatIsNewer(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	in := newInstance(app)
	w.put(app, in)
	l := w.campaign("one", w.Store).leads(t)
	for i := range 4 {
		runs := 0
		if _, err := l.Store.Update(t.Context(), func(tx controlplane.Tx) error {
			runs++
			if err := tx.ReadAhead(in); err != nil {
				return err
			}
			now, err := tx.Instance(in.ID)
			if err != nil {
				return err
			}
			now.Restarts++
			return tx.Put(now)
		}); err != nil {
			t.Fatal(err)
		}
		if runs != 1 {
			t.Errorf("step %d: %d runs", i, runs)
		}
		fresh, err := w.Instance(t.Context(), in.ID)
		if err != nil || fresh.Restarts != 2*i+1 {
			t.Fatalf("the record is %+v, %v", fresh, err)
		}
		fresh.Restarts++
		w.put(fresh)
		in = fresh
	}
}

func TestALeaderClearsTheIntentThatItSaw(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	key := "wake/" + in.ID
	if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "one"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	revision := w.revision(key)
	l := w.campaign("one", w.Store).leads(t)
	for _, c := range []struct {
		revision int64
		runs     int
		left     bool
	}{{revision - 1, 2, true}, {revision, 1, false}, {revision, 2, false}} {
		runs := 0
		if _, err := l.Store.Update(t.Context(), func(tx controlplane.Tx) error {
			runs++
			tx.ClearWake(in.ID, c.revision)
			return tx.Put(newAlias("mine", ""))
		}); err != nil {
			t.Fatal(err)
		}
		if left := w.raw(key) != ""; left != c.left || runs != c.runs {
			t.Errorf("cleared at %d of %d: %d runs, left %v; want %d, %v", c.revision, revision, runs, left, c.runs, c.left)
		}
	}
}
