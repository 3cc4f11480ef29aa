package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// take takes one step. The view is what it was decided upon.
func (m *Manager) take(id string, t *task, v view, a action) error {
	switch a {
	case start:
		return m.start(t, v)
	case suspend:
		return m.suspend(t, v)
	case stop:
		return m.stop(id, t, v)
	case remove:
		return m.remove(t, v)
	case clearWake:
		return m.clearWake(t, v)
	}
	return m.record(t, v.record, func(tx controlplane.Tx, in *controlplane.Instance) {
		change(in, v, a)
		if a == resume && v.wake != nil {
			tx.ClearWake(in.ID, v.wake.Revision)
		}
	})
}

// change is what a step does to the record alone.
func change(in *controlplane.Instance, v view, a action) {
	switch a {
	case deployed:
		in.Status, in.Stage, in.Reason = controlplane.Deployed, "", nil
		in.Endpoint, in.Identity = v.fact.Endpoint, v.fact.Identity
		in.Failures, in.RetryAfter = 0, time.Time{}
		in.LastActive = v.now.UTC()
	case failed:
		fail(in, *v.fact.Reason, v.now.UTC())
	case restart:
		if recordEnd(in, v.now.UTC()) {
			fail(in, *v.fact.Reason, v.now.UTC())
			return
		}
		in.Resume(controlplane.Beginning{At: v.now.UTC(), Cause: controlplane.BegunCrash})
		in.RetryAfter = v.now.UTC().Add(doubling(firstRestart, len(in.Ends)-1, lastRetry))
	case resume:
		in.Resume(v.beginning())
		in.RetryAfter = time.Time{}
	case setStage:
		in.Stage = v.fact.Stage
	}
}

// beginning is what begins the start of a resume.
func (v view) beginning() controlplane.Beginning {
	if v.wake == nil {
		return controlplane.Beginning{At: v.now.UTC(), Cause: controlplane.BegunFound}
	}
	return controlplane.Beginning{
		At: v.now.UTC(), Cause: controlplane.BegunVisit, Visitor: v.wake.Visitor, Kind: v.wake.Kind, Edge: v.wake.Edge,
	}
}

// errMoved says that the record is not any more what a step was decided upon.
var errMoved = errors.New("the record has changed")

// record changes the record in a transaction that holds only if it is still
// the one that the step was decided upon.
func (m *Manager) record(t *task, seen *controlplane.Instance, f func(controlplane.Tx, *controlplane.Instance)) error {
	var in *controlplane.Instance
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) (err error) {
		if in, err = tx.Instance(seen.ID); err != nil {
			return err
		}
		if in.Status != seen.Status || in.Generation != seen.Generation {
			return errMoved
		}
		f(tx, in)
		in.UpdatedAt = time.Now().UTC()
		return tx.Put(in)
	})
	switch {
	case errors.Is(err, errMoved):
		// in is the newer record: decide again upon that.
	case controlplane.CodeOf(err) == controlplane.CodeNotFound:
		m.mu.Lock()
		t.record = nil
		m.mu.Unlock()
		return nil
	case err != nil:
		return fmt.Errorf("change instance record: %w", err)
	}
	m.mu.Lock()
	m.learn(t, in)
	m.mu.Unlock()
	return nil
}

func (m *Manager) launcherOf(in *controlplane.Instance) launcher.Launcher {
	return m.cfg.Launchers[in.Launcher]
}

// start begins the start of the record's generation.
func (m *Manager) start(t *task, v view) error {
	l := m.launcherOf(v.record)
	if l == nil {
		return m.failStart(t, v, controlplane.Reason{
			Code: controlplane.LauncherDown,
			Text: fmt.Sprintf("launcher %q is not configured here", v.record.Launcher),
		})
	}
	app, err := m.cfg.Store.App(m.ctx, v.record.AppID)
	if err != nil {
		if controlplane.CodeOf(err) == controlplane.CodeNotFound {
			return m.failStart(t, v, controlplane.Reason{Code: controlplane.BadBundle, Text: "the app of this instance is gone"})
		}
		return fmt.Errorf("start instance: %w", err)
	}
	err = l.Start(m.ctx, m.workload(v.record, app))
	if typed, ok := errors.AsType[*launcher.StartError](err); ok {
		return m.failStart(t, v, typed.Reason)
	}
	if err != nil { // ErrFenced too: the watch will bring the newer record
		return fmt.Errorf("start instance: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// The launcher tells of the start soon; until then it is not repeated.
	if t.fact == nil || t.fact.Generation < v.record.Generation || t.fact == v.fact {
		t.fact = &launcher.Fact{
			InstanceID: v.record.ID, Generation: v.record.Generation,
			State: launcher.Starting, Stage: v.record.Stage, At: time.Now(),
		}
		t.launcher = v.record.Launcher
	}
	return nil
}

func (m *Manager) failStart(t *task, v view, reason controlplane.Reason) error {
	return m.record(t, v.record, func(_ controlplane.Tx, in *controlplane.Instance) { fail(in, reason, v.now.UTC()) })
}

// suspend stops the workload and records that it sleeps.
func (m *Manager) suspend(t *task, v view) error {
	l := m.launcherOf(v.record)
	if l == nil {
		return fmt.Errorf("suspend instance: launcher %q is not configured here", v.record.Launcher)
	}
	if v.fact == nil || v.runs() {
		m.pause(m.cfg.Settle)
		err := l.Stop(m.ctx, v.record.ID, v.record.Generation, m.cfg.StopGrace)
		if err != nil && !errors.Is(err, launcher.ErrFenced) {
			return fmt.Errorf("suspend instance: %w", err)
		}
	}
	return m.record(t, v.record, func(_ controlplane.Tx, in *controlplane.Instance) {
		in.Status, in.Stage, in.Reason = controlplane.Suspended, "", nil
		in.Endpoint, in.Identity = "", ""
	})
}

// stop ends a workload that should not run, and keeps its files: a record that
// is missing by mistake must not cost a volume.
func (m *Manager) stop(id string, t *task, v view) error {
	l := m.cfg.Launchers[v.launcher]
	m.cfg.Log.Info("stopping a workload that should not run", zap.String("instance", id), zap.Int64("generation", v.fact.Generation))
	err := l.Stop(m.ctx, id, v.fact.Generation, m.cfg.StopGrace)
	if err != nil && !errors.Is(err, launcher.ErrFenced) {
		return fmt.Errorf("stop workload without a record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.fact == v.fact {
		t.fact = nil
	}
	return nil
}

// remove removes everything of a terminated instance, its record last.
func (m *Manager) remove(t *task, v view) error {
	l := m.launcherOf(v.record)
	if l == nil {
		return fmt.Errorf("terminate instance: launcher %q, which has its files, is not configured here", v.record.Launcher)
	}
	if err := l.Remove(m.ctx, v.record.ID); err != nil {
		return fmt.Errorf("terminate instance: %w", err)
	}
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) error {
		in, err := tx.Instance(v.record.ID)
		if controlplane.CodeOf(err) == controlplane.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.Delete(in)
	})
	if err != nil {
		return fmt.Errorf("terminate instance: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.record, t.fact = nil, nil
	return nil
}

func (m *Manager) clearWake(t *task, v view) error {
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) error {
		tx.ClearWake(v.wake.InstanceID, v.wake.Revision)
		return nil
	})
	if err != nil {
		return fmt.Errorf("clear wake intent: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.wake == v.wake {
		t.wake = nil
	}
	return nil
}

// workload is what the launcher needs for a start.
func (m *Manager) workload(in *controlplane.Instance, app *controlplane.App) launcher.Workload {
	return launcher.Workload{
		InstanceID: in.ID,
		Generation: in.Generation,
		App:        app,
		Env:        environment(m.cfg.Site, in, app),
		Files:      literalFiles(app),
		Token:      m.cfg.Token(in.ID, in.Generation),
		OpenBundle: func(ctx context.Context) (controlplane.Blob, error) {
			return m.cfg.Blobs.Open(ctx, app.Bundle)
		},
		HealthTimeout: m.cfg.HealthTimeout,
		StopGrace:     m.cfg.StopGrace,
	}
}
