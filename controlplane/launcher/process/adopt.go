//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// reapTime bounds how long Lead waits for the processes that it kills.
const reapTime = 5 * time.Second

// adoptAll takes over what earlier terms have left: processes that the state on
// disk names go on, all others that carry the folder's marker are killed.
func (t *term) adoptAll(ctx context.Context) (err error) {
	all, marked, err := t.survey()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(t.cfg.DataDir, "instances"))
	if err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	kept := readKept(t.cfg.DataDir)
	grave, cancel := context.WithTimeout(t.Context(), reapTime)
	defer cancel()
	var (
		adopted []*instance
		strays  []string
	)
	defer func() {
		if err != nil {
			for _, i := range adopted {
				i.run.cancel()
				i.run.adopts.close()
			}
		}
	}()
	for _, e := range entries {
		if !e.IsDir() || checkID(e.Name()) != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("take over instances: %w", err)
		}
		i := newInstance(t, e.Name())
		if stray, err := isStray(i.dir, kept); err != nil {
			return err
		} else if stray {
			t.cfg.Log.Warn("an instance's folder is what an earlier leader made of one that was removed; it goes", zap.String("instance", i.id))
			strays = append(strays, i.dir)
			continue
		}
		if i.state, err = readState(i.dir); err != nil {
			t.cfg.Log.Error("read an instance's state; its process ends", zap.String("instance", i.id), zap.Error(err))
		}
		t.instances[i.id] = i
		i.settle(grave, all, marked)
		if i.run != nil {
			adopted = append(adopted, i)
			maps.DeleteFunc(marked, func(_ int, m string) bool { return m == i.run.marker() })
		}
	}
	t.killMarked(grave, all, marked)
	if err := t.keep(); err != nil {
		return err
	}
	if err := t.clear(strays); err != nil {
		return err
	}
	t.sweep(grave)
	for ; len(adopted) > 0; adopted = adopted[1:] {
		i := adopted[0]
		t.cfg.Log.Info("adopted an instance's process", zap.String("instance", i.id), zap.Int("pid", i.run.adopts.PID))
		t.ports.hold(i.run.state.Port)
		t.ports.hold(i.run.state.AppPort)
		if !t.Go(i.run.loop) {
			return t.Over()
		}
	}
	t.Go(t.emptyTrash)
	return nil
}

// clear moves away the strays, what acts that were cut off have left, and what
// an earlier leader made without being able to use it.
func (t *term) clear(strays []string) error {
	paths := strays
	for _, i := range t.instances {
		paths = append(paths, i.leftovers()...)
	}
	_, err := t.moveAway(append(paths, t.envs.leftovers()...))
	return err
}

// keep writes the state of all instances for this epoch, so that what an
// earlier leader may write still counts for nothing.
func (t *term) keep() error {
	for _, i := range t.instances {
		i.state.Place = t.folder
		if err := i.keep(); err != nil {
			return fmt.Errorf("take over instance %s: %w", i.id, err)
		}
	}
	dir, err := os.Open(t.cfg.DataDir)
	if err != nil {
		return fmt.Errorf("take over instances: %w", err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil { // of all files at once
		return fmt.Errorf("take over instances: %w", err)
	}
	if err := writeKept(t.cfg.DataDir, t.leader.Epoch); err != nil {
		return fmt.Errorf("take over instances: %w", err)
	}
	return nil
}

// survey lists all processes and the markers of those that carry this folder's.
// A hand that has become its program may have given the lock back before its new
// environment can be read; that is over within microseconds.
func (t *term) survey() (all map[int]procgroup.Proc, marked map[int]string, err error) {
	for pause := time.Millisecond; ; pause *= 4 {
		if all, err = procgroup.Processes(); err != nil {
			return nil, nil, err
		}
		marked = map[int]string{}
		var unsure bool
		for pid, p := range all {
			if pid <= 1 || pid == os.Getpid() || p.Zombie() {
				continue
			}
			m, readable := procgroup.MarkerOf(pid)
			if strings.HasPrefix(m, t.folder+"/") {
				marked[pid] = m
			}
			// Kernel threads are children of 2 and have no environment.
			unsure = unsure || !readable && p.Parent != 2 && pid != 2 && p.Session == pid
		}
		if !unsure || pause > 64*time.Millisecond {
			return all, marked, nil
		}
		time.Sleep(pause)
	}
}

// settle decides what has become of the run on disk. The run is set if it goes
// on; a fact is published if it has ended.
func (i *instance) settle(ctx context.Context, all map[int]procgroup.Proc, marked map[int]string) {
	s := i.state.Run
	if s == nil {
		return
	}
	if p := i.state.Place; p != "" && p != i.t.folder && !s.Ended {
		i.state.Run = nil // of the folder that this one is a copy of: to be started again here
		return
	}
	if s.Ended {
		i.t.Facts.Publish(s.fact(i.t.folder, i.id))
		return
	}
	r := newRun(i, launcher.Workload{}, nil)
	r.state = *s
	if s.Cgroup != "" {
		var err error
		if r.cgroup, err = machine.OpenCgroup(s.Cgroup); err != nil {
			i.t.cfg.Log.Error("find the control group of an instance", zap.String("instance", i.id), zap.Error(err))
		}
	}
	intent := s.Process.PID == 0
	if intent {
		for pid, m := range marked {
			// What calls itself a hand is one of an earlier term, which will become
			// no program any more, or somebody's pretence: it is killed.
			if m == r.marker() && all[pid].Session == pid && !i.t.isHand(pid) {
				r.state.Process = procgroup.Ident{PID: pid, Start: all[pid].Start, BootID: procgroup.BootID()}
			}
		}
	}
	superseded := s.Generation < i.state.Generation
	if !superseded {
		r.adopts = adopt(r.state.Process)
	}
	if r.adopts != nil {
		now := r.state // a copy: r's is its loop's own
		i.run, i.state.Run = r, &now
		i.t.Facts.Publish(r.state.fact(i.t.folder, i.id))
		return
	}
	r.cancel()
	if r.state.Process.PID != 0 {
		g := i.t.group(r.state.Process, r.marker())
		if err := g.kill(ctx); err != nil {
			i.t.cfg.Log.Error("kill what is left of an instance", zap.String("instance", i.id), zap.Error(err))
		}
	}
	rebooted := !intent && s.Process.BootID != procgroup.BootID()
	switch {
	case superseded, intent, rebooted && !s.Ready:
		i.state.Run = nil // a start that was cut off: to be started again
		return
	case rebooted:
		r.state.Reason = reason(controlplane.Crashed, "the machine was restarted while the process ran")
	default:
		r.state.Reason = crashed(i.id, exit{}, s.Ready)
		if r.oomKills() > s.OOMKills {
			r.state.Reason = outOfMemory(i.id, s.MemoryLimit)
		}
	}
	r.state.Ended, r.state.EndedAt = true, time.Now()
	i.state.Run = &r.state
	i.t.Facts.Publish(r.state.fact(i.t.folder, i.id))
}

// killMarked ends the groups of processes that nothing on disk accounts for:
// those of older generations, of removed instances, and cut-off installations.
func (t *term) killMarked(ctx context.Context, all map[int]procgroup.Proc, marked map[int]string) {
	oldest := map[string]procgroup.Proc{}
	for pid, m := range marked {
		if o, ok := oldest[m]; !ok || all[pid].Start < o.Start || all[pid].Start == o.Start && pid < o.PID {
			oldest[m] = all[pid]
		}
	}
	var faults error
	for m, p := range oldest {
		t.cfg.Log.Warn("killing a process that no instance accounts for", zap.Int("pid", p.PID), zap.String("marker", m))
		g := t.group(procgroup.Ident{PID: p.PID, Start: p.Start, BootID: procgroup.BootID()}, m)
		faults = errors.Join(faults, g.kill(ctx))
	}
	if faults != nil {
		t.cfg.Log.Error("kill processes that no instance accounts for", zap.Error(faults))
	}
}

// sweep gives back what instances had of the machine that have it no more:
// control groups of runs that are over, rules for networks that nobody has, and
// users of instances that are gone.
func (t *term) sweep(ctx context.Context) {
	used := map[string]bool{}
	for _, i := range t.instances {
		if i.run != nil && i.run.state.Cgroup != "" {
			used[i.run.state.Cgroup] = true
		}
	}
	groups, err := machine.ListCgroups(t.cgroupPrefix())
	for _, c := range groups {
		if used[c.Name()] {
			continue
		}
		// Of nobody's group the control group is all that is known.
		err = errors.Join(err, group{t: t, cgroup: c}.kill(ctx), c.Remove())
	}
	networked := slices.ContainsFunc(slices.Collect(maps.Values(t.instances)), func(i *instance) bool {
		return i.run != nil && i.run.state.Address != ""
	})
	if present, leadErr := hand.ReadLeader(t.cfg.DataDir); leadErr == nil && present == t.leader {
		err = errors.Join(err, t.settleRules(networked))
	}
	names, listErr := t.users.Names()
	err = errors.Join(err, listErr)
	for _, name := range names {
		if _, ok := t.instances[name]; !ok { // an instance that is gone, or an installation that was cut off
			err = errors.Join(err, t.users.Release(name))
		}
	}
	if err != nil {
		t.cfg.Log.Warn("give back what instances had that are gone", zap.Error(err))
	}
}
