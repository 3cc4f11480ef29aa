//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// reapTime bounds how long New waits for the processes that it kills.
const reapTime = 5 * time.Second

// adoptAll takes over what earlier launchers of the folder left: processes that
// the state on disk names go on, all others that carry its marker are killed.
func (l *Launcher) adoptAll() error {
	all, marked, err := l.survey()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(l.cfg.DataDir, "instances"))
	if err != nil {
		return fmt.Errorf("list instances: %w", err)
	}
	ctx, cancel := context.WithTimeout(l.ctx, reapTime)
	defer cancel()
	var adopted []*instance
	for _, e := range entries {
		dir := filepath.Join(l.cfg.DataDir, "instances", e.Name())
		switch {
		case strings.HasPrefix(e.Name(), trashPrefix):
			if err := removeTree(dir); err != nil {
				l.cfg.Log.Warn("remove what is left of an instance", zap.Error(err))
			}
		case e.IsDir() && checkID(e.Name()) == nil:
			i := newInstance(l, e.Name())
			if i.state, err = readState(dir); err != nil {
				l.cfg.Log.Error("read an instance's state; its process ends", zap.String("instance", i.id), zap.Error(err))
			}
			l.instances[i.id] = i
			if i.state.Run == nil {
				continue
			}
			i.settle(ctx, l, all, marked)
			if i.run != nil {
				adopted = append(adopted, i)
				maps.DeleteFunc(marked, func(_ int, m string) bool { return m == i.run.marker() })
			}
		}
	}
	l.killMarked(ctx, all, marked)
	for _, i := range adopted {
		l.cfg.Log.Info("adopted an instance's process", zap.String("instance", i.id), zap.Int("pid", i.run.adopts.PID))
		l.ports.hold(i.run.state.Port)
		l.running.Go(i.run.loop)
	}
	return nil
}

// survey lists all processes and the markers of those that carry this folder's.
// Where an intent has no process to it, one may be between its fork and the
// moment that its environment can be read; that is over within microseconds.
func (l *Launcher) survey() (all map[int]procgroup.Proc, marked map[int]string, err error) {
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
			if strings.HasPrefix(m, l.folder+"/") {
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
func (i *instance) settle(ctx context.Context, l *Launcher, all map[int]procgroup.Proc, marked map[int]string) {
	s := i.state.Run
	if s.Ended {
		l.facts.Publish(s.fact(l.folder, i.id))
		return
	}
	r := newRun(i, launcher.Workload{}, nil)
	r.state = *s
	intent := s.Process.PID == 0
	if intent {
		for pid, m := range marked {
			if m == r.marker() && all[pid].Session == pid {
				r.state.Process = procgroup.Ident{PID: pid, Start: all[pid].Start, BootID: procgroup.BootID()}
			}
		}
	}
	superseded := s.Generation < i.state.Generation
	if !superseded {
		r.adopts = adopt(r.state.Process)
	}
	if r.adopts != nil {
		i.run = r
		if intent {
			i.save(&r.state)
		}
		l.facts.Publish(r.state.fact(l.folder, i.id))
		return
	}
	r.cancel()
	if r.state.Process.PID != 0 {
		g := newGroup(r.state.Process, r.marker())
		if err := g.kill(ctx); err != nil {
			l.cfg.Log.Error("kill what is left of an instance", zap.String("instance", i.id), zap.Error(err))
		}
	}
	rebooted := !intent && s.Process.BootID != procgroup.BootID()
	switch {
	case superseded, intent, rebooted && !s.Ready:
		i.save(nil) // a start that was cut off: to be started again
		return
	case rebooted:
		r.state.Reason = reason(controlplane.Crashed, "the machine was restarted while the process ran")
	default:
		r.state.Reason = crashed(i.id, exit{}, s.Ready)
	}
	r.state.Ended, r.state.EndedAt = true, time.Now()
	i.save(&r.state)
	l.facts.Publish(r.state.fact(l.folder, i.id))
}

func (i *instance) save(s *runState) {
	i.state.Run = s
	if err := writeState(i.dir, i.state); err != nil {
		i.l.cfg.Log.Error("record an instance", zap.String("instance", i.id), zap.Error(err))
	}
}

// killMarked ends the groups of processes that nothing on disk accounts for:
// those of older generations, of removed instances, and cut-off installations.
func (l *Launcher) killMarked(ctx context.Context, all map[int]procgroup.Proc, marked map[int]string) {
	oldest := map[string]procgroup.Proc{}
	for pid, m := range marked {
		if o, ok := oldest[m]; !ok || all[pid].Start < o.Start || all[pid].Start == o.Start && pid < o.PID {
			oldest[m] = all[pid]
		}
	}
	var faults error
	for m, p := range oldest {
		l.cfg.Log.Warn("killing a process that no instance accounts for", zap.Int("pid", p.PID), zap.String("marker", m))
		g := newGroup(procgroup.Ident{PID: p.PID, Start: p.Start, BootID: procgroup.BootID()}, m)
		faults = errors.Join(faults, g.kill(ctx))
	}
	if faults != nil {
		l.cfg.Log.Error("kill processes that no instance accounts for", zap.Error(faults))
	}
}
