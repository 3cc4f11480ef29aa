//go:build linux

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// portTries is how many ports a start tries that strangers take meanwhile.
const portTries = 3

// run is one generation of an instance from its start to its end. One goroutine
// of the term, loop, owns it; stop and await may be called by anybody.
type run struct {
	i      *instance
	w      launcher.Workload // zero in an adopted run
	adopts *child            // nil in a run that is started here
	state  runState          // but for Generation and StopGrace, loop's own

	limits machine.Limits
	cgroup *machine.Cgroup // nil: it has none
	stage  launcher.Fact   // what was told of the stage that the start is at

	ctx    context.Context // ends when the run is to stop or the term ends
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing of it runs, or the term ended
	left   bool          // the term ended before the run; to be read once it is done
	poke   chan struct{} // the deadline has changed

	mu     sync.Mutex
	prev   *run
	killAt time.Time // zero: nobody asked it to stop
}

func newRun(i *instance, w launcher.Workload, prev *run) *run {
	r := &run{
		i:    i,
		w:    w,
		prev: prev,
		done: make(chan struct{}),
		poke: make(chan struct{}, 1),
	}
	r.ctx, r.cancel = context.WithCancel(i.t.Context())
	if w.App != nil {
		r.state = runState{
			Generation:    w.Generation,
			HealthPath:    w.HealthPath(),
			HealthTimeout: w.HealthTimeout,
			StopGrace:     w.StopGrace,
		}
	}
	return r
}

// stop asks the run to end, by force once grace is over. Of several calls the
// most impatient holds.
func (r *run) stop(grace time.Duration) {
	r.mu.Lock()
	at := time.Now().Add(grace)
	if r.killAt.IsZero() || at.Before(r.killAt) {
		r.killAt = at
	}
	prev := r.prev
	r.mu.Unlock()
	r.cancel()
	select {
	case r.poke <- struct{}{}:
	default:
	}
	if prev != nil {
		prev.stop(grace)
	}
}

// await returns nil once nothing of the run runs any more.
func (r *run) await(ctx context.Context) error {
	if !r.over() {
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r.left {
		return r.i.t.Over()
	}
	return nil
}

func (r *run) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *run) stopping() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.killAt.IsZero()
}

func (r *run) deadline() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.killAt
}

// outcome is how far a run came: to its end, for a reason unless it was asked
// to stop; to a port that a stranger has; or to the end of the term.
type outcome struct {
	reason    *controlplane.Reason
	stranger  *procgroup.Socket
	abandoned bool
}

func (r *run) loop() {
	defer close(r.done)
	defer r.cancel()
	if r.prev != nil {
		<-r.prev.done
		r.mu.Lock()
		r.left = r.prev.left
		r.prev = nil
		r.mu.Unlock()
		if r.left {
			return
		}
	}
	var o outcome
	if r.adopts != nil {
		o = r.supervise(r.adopts)
		r.i.t.ports.release(r.state.Port)
		r.i.t.ports.release(r.state.AppPort)
		if o.stranger != nil {
			o.reason = portInUse(r.state.Port, *o.stranger)
		}
	} else {
		o = r.begin()
	}
	if o.abandoned {
		r.left = true
		return
	}
	if r.stopping() {
		o.reason = nil
	}
	r.i.t.at("end: known")
	r.tidy()
	r.state.Ended, r.state.EndedAt, r.state.Reason = true, time.Now(), o.reason
	if err := r.i.record(r.state); err != nil {
		r.log("record the end of an instance", err)
	}
	r.i.t.Facts.Publish(r.state.fact(r.i.t.folder, r.i.id))
	if r.adopts == nil && r.state.Process.PID == 0 {
		r.i.clear()
	}
}

// begin prepares and starts the workload and stays with it until it ends.
func (r *run) begin() outcome {
	if r.ctx.Err() != nil {
		return r.cutShort()
	}
	r.tell(controlplane.StageBundle)
	output, err := r.open()
	if err != nil {
		return outcome{reason: broken(err)}
	}
	defer output.Close()
	r.i.t.at("start: log opened")
	c, why := r.prepare(output)
	if r.ctx.Err() != nil {
		return r.cutShort()
	}
	if why != nil {
		return outcome{reason: why}
	}
	r.i.t.at("start: prepared")
	r.tell(controlplane.StageStarting)
	fixed := r.w.App.Manifest.Runtime.Port
	if c.pair {
		fixed = 0 // the app never sees it
	}
	for try := 1; ; try++ {
		o := r.attempt(c, fixed, output)
		switch {
		case o.stranger == nil || o.abandoned:
			return o
		case r.ctx.Err() != nil:
			return r.cutShort()
		case fixed != 0:
			return outcome{reason: portInUse(fixed, *o.stranger)}
		case try == portTries:
			return outcome{reason: reason(controlplane.PortInUse, "other programs took each of the %d ports that were picked", portTries)}
		}
	}
}

// cutShort is the outcome of a run that has no process and whose ctx ended.
func (r *run) cutShort() outcome {
	return outcome{abandoned: r.i.t.Context().Err() != nil || !r.stopping()}
}

// open gives the run its names and opens its log, a file of its own: who led
// before may be at work for another run still.
func (r *run) open() (*os.File, error) {
	r.state.Folder = fmt.Sprintf("%d-%s", r.w.Generation, rand.Text()[:8])
	dir := filepath.Join(r.i.dir, "logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	name := r.state.Folder + ".log"
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := r.i.rotate(name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// attempt starts the process once and stays with it until it ends.
func (r *run) attempt(c command, fixed int, output *os.File) outcome {
	port := fixed
	if fixed == 0 {
		picked, err := r.i.t.ports.pick()
		if err != nil {
			return outcome{reason: reason(controlplane.NoCapacity, "%v", err)}
		}
		defer r.i.t.ports.release(picked)
		port = picked
	} else if o, ok := r.fix(&c, fixed, output); !ok {
		return o
	}
	if c.network != nil {
		defer c.network.Close()
	}
	if err := r.enclose(&c); err != nil {
		return outcome{reason: broken(err)}
	}
	r.state.Port, r.state.Nonce = port, rand.Text()
	if err := r.addPort(&c); err != nil {
		return outcome{reason: reason(controlplane.NoCapacity, "%v", err)}
	}
	defer r.i.t.ports.release(r.state.AppPort)
	r.state.StartedAt, r.state.Process = time.Now(), procgroup.Ident{}
	if err := r.i.record(r.state); err != nil {
		return outcome{reason: broken(err)}
	}
	c.env = environ.Merge(c.env, []string{portVariable(port)})
	r.i.t.at("start: intended")
	child, err := r.i.t.spawn(c, r.marker(), output)
	switch f := (*hand.Fault)(nil); {
	case err == nil:
	case errors.Is(err, launcher.ErrFenced):
		return outcome{abandoned: true}
	case errors.As(err, &f) && f.Step == hand.StepExecute:
		return outcome{reason: unstartable(c.called, c.path, f)}
	case errors.As(err, &f) && f.Step == hand.StepConfine:
		return outcome{reason: unconfinable(f)}
	default:
		return outcome{reason: broken(err)}
	}
	r.i.t.at("start: executed")
	r.state.Process = child.Ident
	if err := r.i.record(r.state); err != nil {
		// The marker accounts for the process as well; it may live.
		r.log("record an instance's process", err)
	}
	r.i.t.at("start: recorded")
	var clearing sync.WaitGroup
	defer clearing.Wait() // before another run makes folders here
	clearing.Go(r.i.clear)
	return r.supervise(child)
}

// fix sees to a fixed port: in a network of the run's own it is free, in the
// machine's it may be somebody's.
func (r *run) fix(c *command, port int, output *os.File) (outcome, bool) {
	n, lines := r.i.t.network(fmt.Sprintf("slipway %s %s", r.i.t.owner, r.i.id), port)
	r.warn(output, lines)
	if n == nil {
		l, ok := taken(port)
		return outcome{stranger: &l}, !ok
	}
	spec := *c.confine
	spec.Network = fmt.Sprintf("/proc/self/fd/%d", hand.MoreFD)
	c.network, c.confine = n, &spec
	r.state.Address = n.Inside.String()
	return outcome{}, true
}

// enclose makes the control groups of an attempt. Those of an attempt before it
// are sealed.
func (r *run) enclose(c *command) (err error) {
	if r.limits == (machine.Limits{}) {
		return nil
	}
	r.tidy()
	r.state.Cgroup = r.i.t.cgroupName(r.i.id, r.state.Folder)
	r.state.MemoryLimit = r.w.App.Manifest.Runtime.MemoryLimit
	if r.cgroup, err = machine.NewCgroup(r.state.Cgroup, r.limits); err != nil {
		return err
	}
	c.confine.Cgroups = r.cgroup.Folders()
	return nil
}

// tidy removes what the run had of the machine. Its processes have ended.
func (r *run) tidy() {
	if r.cgroup == nil {
		return
	}
	if err := r.cgroup.Remove(); err != nil {
		r.log("remove the control group of an instance", err)
	}
}

func (r *run) marker() string {
	return marker(r.i.t.folder, r.i.id, r.state.Generation, r.state.Nonce)
}

// tell publishes how far the start has come.
func (r *run) tell(s controlplane.Stage) {
	r.stage = launcher.Fact{
		InstanceID: r.i.id,
		Generation: r.state.Generation,
		State:      launcher.Starting,
		Stage:      s,
		Warnings:   r.state.Warnings,
		At:         time.Now(),
	}
	r.i.t.Facts.Publish(r.stage)
}

// say publishes how far the present stage is.
func (r *run) say(w venv.Words) {
	f := r.stage
	f.Text, f.Percent = w.Text, w.Percent
	r.i.t.Facts.Publish(f)
}

// warn says in the log of the instance, and with the facts of this start, what
// it goes without.
func (r *run) warn(output *os.File, lines []string) {
	for _, line := range lines {
		if slices.Contains(r.state.Warnings, line) {
			continue
		}
		r.state.Warnings = append(r.state.Warnings, line)
		fmt.Fprintf(output, "slipway: %s\n", line)
	}
}

func (r *run) log(what string, err error) {
	r.i.t.cfg.Log.Error(what, zap.String("instance", r.i.id), zap.Int64("generation", r.state.Generation), zap.Error(err))
}

// fact is what is true of the run by its record.
func (s runState) fact(folder, id string) launcher.Fact {
	f := launcher.Fact{InstanceID: id, Generation: s.Generation, Warnings: s.Warnings, At: time.Now()}
	switch {
	case s.Ended:
		f.State, f.WasReady, f.Reason, f.At = launcher.Ended, s.Ready, s.Reason, s.EndedAt
	case s.Ready:
		f.State, f.Stage, f.Endpoint = launcher.Ready, controlplane.StageReady, s.Endpoint
		if s.Address == "" { // one in a network of its own is nobody else's
			f.Identity = s.identity(folder, id)
		}
	default:
		f.State, f.Stage = launcher.Starting, controlplane.StageStarting
	}
	return f
}

// identity is what edges know the workload's processes by.
func (s runState) identity(folder, id string) string {
	return procgroup.Identity{
		Boot:    procgroup.Digest(s.Process.BootID),
		PID:     s.Process.PID,
		Start:   s.Process.Start,
		Mark:    procgroup.Digest(marker(folder, id, s.Generation, s.Nonce)),
		Sockets: s.Sockets,
	}.String()
}
