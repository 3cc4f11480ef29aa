//go:build linux

package process

import (
	"context"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// supervise makes the process ready, stays with it, and ends all of its group
// when it is to stop or its leader has ended.
func (r *run) supervise(c *child) (o outcome) {
	g := r.i.t.group(c.Ident, r.marker())
	g.cgroup, g.kept = r.cgroup, r.state.AppPort != 0
	var helpers sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		if o.abandoned && c.own {
			r.i.t.reaper.take(c)
			return
		}
		c.close()
	}()
	defer helpers.Wait()
	defer cancel()

	exits := make(chan exit, 1)
	helpers.Go(func() {
		if e, err := c.wait(ctx); err == nil {
			exits <- e
		}
	})
	verdicts := make(chan verdict, 1)
	if !r.state.Ready {
		helpers.Go(func() { verdicts <- r.awaitReady(ctx, g) })
	}
	memory := oomWatch{r.state.OOMKills, r.state.OOMKills}
	var looks <-chan time.Time
	if r.cgroup != nil && r.state.MemoryLimit != "" {
		tick := time.NewTicker(oomLook)
		defer tick.Stop()
		looks = tick.C
	}

	for {
		select {
		case e := <-exits:
			if !r.kill(g) || r.i.t.Context().Err() != nil && !r.stopping() {
				return outcome{abandoned: true} // the next term finds it ended
			}
			if memory.justNow(r.oomKills()) {
				return outcome{reason: outOfMemory(r.i.id, r.state.MemoryLimit)}
			}
			if l, ok := r.takenPort(); ok {
				return outcome{stranger: &l}
			}
			return outcome{reason: r.crashed(e)}
		case v := <-verdicts:
			switch {
			case v.endpoint != "":
				r.ready(v)
			case v.stranger != nil || v.reason != nil:
				return outcome{stranger: v.stranger, reason: v.reason, abandoned: !r.kill(g)}
			}
		case <-looks:
			r.watchOOM(&memory)
		case <-r.ctx.Done():
			if !r.stopping() {
				return outcome{abandoned: true}
			}
			return outcome{abandoned: !r.terminate(g, exits)}
		}
	}
}

// ready publishes first and records then: a record that is lost is made again
// by probing, but a visitor waits for the fact.
func (r *run) ready(v verdict) {
	r.i.t.at("start: ready")
	r.state.Ready, r.state.Endpoint, r.state.Sockets = true, v.endpoint, v.sockets
	r.i.t.Facts.Publish(r.state.fact(r.i.t.folder, r.i.id))
	if err := r.i.record(r.state); err != nil {
		r.log("record a ready instance", err)
	}
}

// terminate asks the group to end and forces it once the grace is over. It
// reports false when the term ended before that.
func (r *run) terminate(g group, exits <-chan exit) bool {
	if err := g.ask(); err != nil {
		r.log("ask an instance to end", err)
	}
	r.i.t.at("stop: signalled")
	pause := 5 * time.Millisecond
	for {
		left := time.Until(r.deadline())
		if left <= 0 {
			break
		}
		wait := left
		if exits == nil { // the leader is gone, others may be at it still
			members, err := g.Members()
			if err == nil && len(members) == 0 {
				return true
			}
			wait = min(left, pause)
			pause = min(2*pause, 100*time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-exits:
			exits = nil
			if !g.kept {
				break
			}
			if err := g.ask(); err != nil { // those that the keeper did not know
				r.log("ask an instance to end", err)
			}
		case <-r.poke:
		case <-timer.C:
		case <-r.i.t.Context().Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	return r.kill(g)
}

// kill ends what is left of the group. It gives up, and reports false, when
// the term ends: the next one kills what it finds.
func (r *run) kill(g group) bool {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := g.kill(r.i.t.Context())
		if err == nil {
			return true
		}
		if r.i.t.Context().Err() != nil {
			return false
		}
		r.log("kill an instance", err)
		select {
		case <-time.After(pause):
		case <-r.i.t.Context().Done():
			return false
		}
	}
}

// verdict is what readiness came to: an endpoint, or why not. The zero verdict
// is one of a run that ended meanwhile.
type verdict struct {
	endpoint string
	sockets  []uint64 // that listen there
	stranger *procgroup.Socket
	reason   *controlplane.Reason
}
