package hold

import (
	"context"
	"errors"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// seat is the place of one who waits.
type seat struct {
	room  *Room
	group *group
	visit *Visit
	since time.Time
	// watches: the instance is looked at, and a start that failed is not
	// repeated for that.
	watches bool

	started bool             // a start was seen
	refused <-chan time.Time // when a FAILED instance is not started again any more
	mine    *attempt         // that it waits for
	taken   bool             // an attempt before that has registered the intent
}

// Wait returns the instance when it runs, or why it does not, at the latest
// after the visit's limit. A ctx that ends, since the visitor left, ends the
// wait.
func (r *Room) Wait(ctx context.Context, v *Visit) (*routing.Instance, error) {
	s := seat{room: r, visit: v, since: time.Now()}
	in := r.house.Instance(v.Instance)
	if in == nil {
		return nil, ErrGone
	}
	err := s.refusal(in, r.house.Progress(in))
	if err != nil {
		return nil, err // it costs no place
	}
	source := v.Visitor.CountedSource()
	if s.group, err = r.join(v.Instance, source); err != nil {
		return nil, err
	}
	defer r.leave(s.group, source)
	deadline := time.NewTimer(v.Limit)
	defer deadline.Stop()
	for {
		changed, _ := r.next(s.group)
		if in, err := s.look(ctx); in != nil || err != nil {
			return in, err
		}
		select {
		case <-changed:
		case <-s.refused:
			in := r.house.Instance(v.Instance)
			if in == nil || !underWay(r.house.Progress(in)) {
				return nil, ErrFailed
			}
			s.refused = make(chan time.Time) // it queues
		case <-deadline.C:
			return nil, ErrTimeout
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Refusal is why a visit would not even begin to wait; nil: it would. It changes
// nothing.
func (r *Room) Refusal(v *Visit) error {
	in := r.house.Instance(v.Instance)
	if in == nil {
		return ErrGone
	}
	p := r.house.Progress(in)
	s := seat{room: r, visit: v}
	if err := s.refusal(in, p); err != nil || Running(in) || Starting(in) || underWay(p) {
		return err
	}
	if until, limited := r.house.Limited(v.Visitor); limited {
		return &LimitedError{Until: until}
	}
	return nil
}

// Watch calls tell now, at every change of the instance's route and at all news
// of its start, and at least as often as a heartbeat, until the instance runs,
// which is no error, tell fails, or the wait is over. Who watches a sleeping
// instance wakes it; one that failed to start stays as it is.
func (r *Room) Watch(ctx context.Context, v *Visit, heartbeat time.Duration, tell func(in *routing.Instance, news bool) error) error {
	s := seat{room: r, visit: v, since: time.Now(), watches: true}
	var err error
	source := v.Visitor.CountedSource()
	if s.group, err = r.join(v.Instance, source); err != nil {
		return err
	}
	defer r.leave(s.group, source)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for news := true; ; {
		changed, told := r.next(s.group)
		in, err := s.look(ctx)
		switch {
		case in != nil:
			return nil
		case err != nil && !errors.Is(err, ErrFailed) && !errors.Is(err, ErrMayNotWake):
			return err
		}
		if in = r.house.Instance(v.Instance); in == nil {
			return ErrGone
		}
		if err := tell(in, news); err != nil {
			return err
		}
		select {
		case <-changed:
			news = true
		case <-told:
			news = true
		case <-beat.C:
			news = false
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look looks at the instance and returns it if it runs, or why nobody waits for
// that. A sleeping one is woken.
func (s *seat) look(ctx context.Context) (*routing.Instance, error) {
	house := s.room.house
	in := house.Instance(s.visit.Instance)
	switch {
	case in == nil:
		return nil, ErrGone
	case Running(in):
		return in, nil
	case Starting(in):
		return nil, s.start()
	case in.Status == routing.Failed && s.started:
		return nil, ErrFailed
	}
	p := house.Progress(in)
	if err := s.refusal(in, p); err != nil {
		return nil, err
	}
	done, err := s.ask(ctx, in, underWay(p))
	switch {
	case err != nil:
		return nil, err
	case s.visit.Async && (done || underWay(p)):
		return nil, ErrAccepted
	case in.Status == routing.Failed && s.refused == nil:
		s.refused = time.After(refusalDelay)
	}
	return nil, nil
}

// start notes that the instance is being started.
func (s *seat) start() error {
	if !s.started {
		s.visit.Began = time.Since(s.since)
	}
	s.started, s.refused, s.mine, s.taken = true, nil, nil, false
	if s.visit.Async {
		return ErrAccepted
	}
	return nil
}

// refusal is why the visit does not even begin to wake an instance; nil for
// one that runs or starts.
func (s *seat) refusal(in *routing.Instance, p *controlplane.Progress) error {
	switch {
	case Running(in), Starting(in), underWay(p):
		return nil
	case in.Status == routing.Failed && (s.watches || p != nil && time.Now().Before(p.RetryAt)):
		return ErrFailed
	case !s.visit.mayWake(in):
		return ErrMayNotWake
	}
	return nil
}

// ask has the intent registered, once for all who wait, and reports whether
// that is done. Who waited for an attempt that failed is refused, but not if
// the intent was registered before: then it may be there still, and they wait
// until it is tried again.
func (s *seat) ask(ctx context.Context, in *routing.Instance, queued bool) (done bool, err error) {
	r, g := s.room, s.group
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case s.mine == nil || !s.mine.done:
	case s.mine.err == nil:
		s.taken = true
	case !s.taken:
		return false, errors.Join(ErrNoWaking, s.mine.err)
	}
	if g.last.covers(in.Generation, s.taken) {
		s.mine = g.last
		return g.last.done, nil
	}
	// Who waits with an intent that is to be registered again started nothing
	// more, and it stays the intent of who did: another's may be limited. Who
	// would begin to start it, or whose intent was taken back, does.
	intent := controlplane.WakeIntent{InstanceID: in.ID.String(), Visitor: s.visit.Visitor, Kind: s.visit.Kind, Trace: s.visit.Trace}
	if s.mine != nil && s.mine == g.last && s.mine.generation == in.Generation {
		intent = s.mine.intent
	} else if until, limited := r.house.Limited(s.visit.Visitor); limited && !queued {
		return false, &LimitedError{Until: until}
	}
	a := &attempt{generation: in.Generation, began: time.Now(), intent: intent}
	g.last, s.mine = a, a
	go r.register(context.WithoutCancel(ctx), g, a) // ends by the store's own time-out
	return false, nil
}

func (r *Room) register(ctx context.Context, g *group, a *attempt) {
	err := r.house.Wake(ctx, a.intent)
	r.mu.Lock()
	defer r.mu.Unlock()
	a.done, a.err = true, err
	g.release()
	if g.renewal != nil {
		g.renewal.Stop()
		g.renewal = nil
	}
	if g.waiters > 0 {
		g.renewal = time.AfterFunc(time.Until(a.began.Add(intentFresh)), func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if in := r.house.Instance(g.id); in == nil || !Starting(in) {
				g.release()
			}
		})
	}
}

// covers reports whether the attempt makes another one needless for now. One that
// failed does for those whose intent was taken before.
func (a *attempt) covers(generation int64, taken bool) bool {
	switch {
	case a == nil:
		return false
	case !a.done:
		return true
	}
	return (a.err == nil || taken) && a.generation == generation && time.Since(a.began) < intentFresh
}
