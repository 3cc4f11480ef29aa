package lead_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

var errWhy = errors.New("why")

func TestTheFirstWhyEndsATerm(t *testing.T) {
	end := func(why error) func(*lead.Term) { return func(t *lead.Term) { t.End(why) } }
	depose := func(t *lead.Term) { t.Depose() }
	for name, c := range map[string]struct {
		acts []func(*lead.Term)
		want error
	}{
		"none":                {nil, nil},
		"ended":               {[]func(*lead.Term){end(errWhy)}, errWhy},
		"ended twice":         {[]func(*lead.Term){end(errWhy), end(launcher.ErrNotLeading)}, errWhy},
		"deposed":             {[]func(*lead.Term){depose}, launcher.ErrFenced},
		"deposed, then ended": {[]func(*lead.Term){depose, end(errWhy)}, launcher.ErrFenced},
		"ended, then deposed": {[]func(*lead.Term){end(errWhy), depose}, errWhy},
		"deposed twice":       {[]func(*lead.Term){depose, depose}, launcher.ErrFenced},
	} {
		t.Run(name, func(t *testing.T) {
			term := lead.New()
			defer term.End(nil)
			facts := term.Observe(t.Context())
			<-facts // synced
			for _, act := range c.acts {
				act(term)
			}
			if why := term.Over(); !errors.Is(why, c.want) {
				t.Errorf("it is over for %v, want %v", why, c.want)
			}
			if c.want == nil {
				if term.Context().Err() != nil {
					t.Error("its context has ended")
				}
				return
			}
			if term.Context().Err() == nil {
				t.Error("its context goes on")
			}
			if f, open := <-facts; open {
				t.Errorf("observed %+v", f)
			}
			if term.Go(func() { t.Error("something runs after the end") }) {
				t.Error("something begins after the end")
			}
			if term.Depose() {
				t.Error("it is deposed once more")
			}
		})
	}
}

func TestTheEndWaitsForWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term := lead.New()
		var over atomic.Bool
		term.Go(func() {
			<-term.Context().Done()
			time.Sleep(time.Second)
			over.Store(true)
		})
		term.Depose()
		if over.Load() {
			t.Error("deposing waits")
		}
		term.End(errWhy)
		if !over.Load() {
			t.Error("the end does not wait")
		}
	})
}

func holder() *lead.Holder[*lead.Term] { return &lead.Holder[*lead.Term]{Name: "test"} }

func begin() (*lead.Term, error) { return lead.New(), nil }

func TestHolder(t *testing.T) {
	refuse := func() (*lead.Term, error) { return nil, errWhy }
	type step struct {
		name string
		do   func(*lead.Holder[*lead.Term]) error
		want string // the error; empty: none
		term error  // of Term then
	}
	leads := func(epoch int64, begin func() (*lead.Term, error), want string, term error) step {
		return step{"lead", func(h *lead.Holder[*lead.Term]) error { return h.Lead(epoch, begin) }, want, term}
	}
	resigns := step{"resign", func(h *lead.Holder[*lead.Term]) error { h.Resign(); return nil }, "", launcher.ErrNotLeading}
	closes := step{"close", func(h *lead.Holder[*lead.Term]) error { return h.Close(nil) }, "", lead.ErrClosed}
	deposed := step{"depose", func(h *lead.Holder[*lead.Term]) error {
		term, err := h.Term()
		if err == nil {
			term.Depose()
		}
		return err
	}, "", launcher.ErrFenced}
	for name, steps := range map[string][]step{
		"resigning without a lead": {resigns},
		"a lead and its end":       {leads(1, begin, "", nil), resigns, resigns},
		"again":                    {leads(1, begin, "", nil), resigns, leads(2, begin, "", nil)},
		"twice":                    {leads(3, begin, "", nil), leads(4, begin, "lead the test launcher: it leads already, with epoch 3", nil)},
		"no epoch":                 {leads(0, begin, "lead the test launcher: epoch 0 is not above 0", launcher.ErrNotLeading)},
		"refused":                  {leads(1, refuse, "lead the test launcher: why", launcher.ErrNotLeading), leads(2, begin, "", nil)},
		"after a deposition":       {leads(1, begin, "", nil), deposed, leads(2, begin, "", nil)},
		"refused after a deposition": {
			leads(1, begin, "", nil), deposed, leads(2, refuse, "lead the test launcher: why", launcher.ErrNotLeading),
		},
		"after closing": {
			leads(1, begin, "", nil), closes, closes, leads(2, begin, "lead the test launcher: the launcher is closed", lead.ErrClosed),
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := holder()
			defer h.Close(nil)
			var last *lead.Term
			for _, s := range steps {
				var got string
				if err := s.do(h); err != nil {
					got = err.Error()
				}
				if got != s.want {
					t.Errorf("%s: %q, want %q", s.name, got, s.want)
				}
				term, err := h.Term()
				if !errors.Is(err, s.term) {
					t.Errorf("%s: its term is %v, want %v", s.name, err, s.term)
				}
				if last != nil && term != last && last.Over() == nil {
					t.Errorf("%s: the term before goes on", s.name)
				}
				last = term
				ctx, cancel := context.WithCancel(t.Context())
				if f, open := <-h.Observe(ctx); open != (s.term == nil) || open && !f.Synced {
					t.Errorf("%s: observed %+v, %v", s.name, f, open)
				}
				cancel()
			}
		})
	}
}

func TestALeadThatIsOverEndsBeforeTheNextBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := holder()
		defer h.Close(nil)
		if err := h.Lead(1, begin); err != nil {
			t.Fatal(err)
		}
		first, err := h.Term()
		if err != nil {
			t.Fatal(err)
		}
		var over atomic.Bool
		first.Go(func() {
			<-first.Context().Done()
			time.Sleep(time.Second)
			over.Store(true)
		})
		first.Depose()
		err = h.Lead(2, func() (*lead.Term, error) {
			if !over.Load() {
				t.Error("something of the lead before still runs")
			}
			return begin()
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestClosingStopsWhatLeadsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*testing.T, *lead.Holder[*lead.Term])
		stops  bool
	}{
		"it leads": {func(*testing.T, *lead.Holder[*lead.Term]) {}, true},
		"it has resigned": {func(_ *testing.T, h *lead.Holder[*lead.Term]) {
			h.Resign()
		}, false},
		"another leads": {func(t *testing.T, h *lead.Holder[*lead.Term]) {
			term, err := h.Term()
			if err != nil {
				t.Fatal(err)
			}
			term.Depose()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := holder()
			if err := h.Lead(1, begin); err != nil {
				t.Fatal(err)
			}
			c.before(t, h)
			var stopped *lead.Term
			err := h.Close(func(term *lead.Term) error {
				stopped = term
				if term.Over() != nil {
					t.Error("it stops with a term that is over")
				}
				if _, err := h.Term(); !errors.Is(err, lead.ErrClosed) {
					t.Errorf("meanwhile others get %v", err)
				}
				return errWhy
			})
			if (stopped != nil) != c.stops || errors.Is(err, errWhy) != c.stops {
				t.Errorf("stopped: %v, %v", stopped != nil, err)
			}
			if stopped != nil && !errors.Is(stopped.Over(), lead.ErrClosed) {
				t.Errorf("its term is over for %v", stopped.Over())
			}
		})
	}
}
