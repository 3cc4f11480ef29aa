package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/failpoint"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// take takes one step. The view is what it was decided upon.
func (m *Manager) take(id string, t *task, v view, a action) error {
	failpoint.Here("before-" + a.String())
	defer failpoint.Here("after-" + a.String())
	switch a {
	case start:
		return m.start(t, v)
	case wake:
		return m.wake(t, v)
	case refuse:
		return m.refuse(t, v)
	case clearWake:
		return m.clearWake(t, v, "")
	case tellEdges:
		return m.tellEdges(t, v)
	case suspend:
		return m.suspend(t, v)
	case stop:
		return m.stop(id, t, v)
	case remove:
		return m.remove(t, v)
	case deployed:
		return m.deployed(t, v)
	case withdraw:
		return m.withdraw(t, v)
	case setProgress:
		return m.setProgress(t, v)
	}
	return m.record(t, v, a, nil)
}

// errMoved says that the record is not any more what a step was decided upon.
var errMoved = errors.New("the record has changed")

// record changes the record as the step says, and as more says where it is not
// nil, in a transaction that holds only if the step is still the one to take.
// Steps of a backlog have no more to say.
func (m *Manager) record(t *task, v view, a action, more func(controlplane.Tx, *controlplane.Instance) error) error {
	if b := m.backlog(a); b != nil {
		return m.await(b, &job{task: t, view: v, action: a})
	}
	return m.update(t, v, func(tx controlplane.Tx, in *controlplane.Instance) error {
		return apply(tx, in, v, a, more)
	})
}

// apply is what a step does in a transaction; more may be nil.
func apply(tx controlplane.Tx, in *controlplane.Instance, v view, a action, more func(controlplane.Tx, *controlplane.Instance) error) error {
	if !v.holds(in, a) {
		return errMoved
	}
	change(in, v, a)
	if a != fold {
		in.UpdatedAt = v.now.UTC()
	}
	if err := tell(tx, in, v, a); err != nil {
		return err
	}
	if more != nil {
		if err := more(tx, in); err != nil {
			return err
		}
	}
	return tx.Put(in)
}

// holds reports whether this record leads to the same step.
func (v view) holds(in *controlplane.Instance, a action) bool {
	if v.record.Status == controlplane.Suspending && !sameSleep(in, v.record) {
		return false
	}
	v.record = in
	return next(v).action == a
}

// update runs a transaction over the record and takes in what it is then.
func (m *Manager) update(t *task, v view, f func(controlplane.Tx, *controlplane.Instance) error) error {
	var in *controlplane.Instance
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) (err error) {
		if err := tx.ReadAhead(v.record); err != nil {
			return err
		}
		if in, err = tx.Instance(v.record.ID); err != nil {
			return err
		}
		return f(tx, in)
	})
	return m.changed(t, v, in, err)
}

// changed takes in what a record is after a transaction; nil: there is none. It
// returns the error of the step.
func (m *Manager) changed(t *task, v view, in *controlplane.Instance, err error) error {
	moved := errors.Is(err, errMoved)
	switch {
	case moved: // in is the newer record: decide again upon that
	case controlplane.CodeOf(err) == controlplane.CodeNotFound && in == nil:
		m.mu.Lock()
		defer m.mu.Unlock()
		t.record = nil
		delete(m.suspending, v.record.ID)
		return nil
	case err != nil:
		return fmt.Errorf("change instance record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn(t, in, learning{told: !moved})
	if in.LastActive.After(v.record.LastActive) || in.LastPresent.After(v.record.LastPresent) {
		t.wrote = v.now
	}
	return nil
}

func (m *Manager) launcherOf(in *controlplane.Instance) launcher.Launcher {
	return m.cfg.Launchers[in.Launcher]
}

// start begins the start of the record's generation.
func (m *Manager) start(t *task, v view) error {
	m.mu.Lock()
	t.marks.queued(v.record.Generation, queuedSince(v.record, v.now))
	m.mu.Unlock()
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
	secrets, why, err := m.cfg.Secrets.Resolve(m.ctx, app)
	if err != nil {
		return fmt.Errorf("start instance: %w", err)
	}
	if why != nil {
		return m.failStart(t, v, *why)
	}
	err = l.Start(m.ctx, m.workload(v.record, app, secrets))
	if typed, ok := errors.AsType[*launcher.StartError](err); ok {
		return m.failStart(t, v, typed.Reason)
	}
	if err != nil { // ErrFenced too: the watch will bring the newer record
		return fmt.Errorf("start instance: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.began, t.begun = m.cfg.Now(), v.record.Generation
	// The launcher tells of the start soon; until then it is not repeated.
	if t.fact == nil || t.fact.Generation < v.record.Generation || t.fact == v.fact {
		t.fact = &launcher.Fact{
			InstanceID: v.record.ID, Generation: v.record.Generation,
			State: launcher.Starting, Stage: v.record.Stage, At: m.cfg.Now(),
		}
		t.launcher = v.record.Launcher
	}
	return nil
}

// failStart records that the start could not even begin.
func (m *Manager) failStart(t *task, v view, reason controlplane.Reason) error {
	return m.update(t, v, func(tx controlplane.Tx, in *controlplane.Instance) error {
		if !v.holds(in, start) {
			return errMoved
		}
		fail(in, reason, v.now.UTC())
		in.UpdatedAt = v.now.UTC()
		if err := tellFailure(tx, in, v); err != nil {
			return err
		}
		return tx.Put(in)
	})
}

// deployed opens the route, and notes how long the start took where this manager
// saw all of it.
func (m *Manager) deployed(t *task, v view) error {
	m.mu.Lock()
	began, generation := t.began, t.begun
	m.mu.Unlock()
	return m.record(t, v, deployed, func(tx controlplane.Tx, in *controlplane.Instance) error {
		if !v.record.Status.Starting() || generation != in.Generation {
			return nil
		}
		return controlplane.RememberStart(tx, in.AppID, v.now.Sub(began))
	})
}

// setProgress tells edges the launcher's words on the stage, unless the app has
// said something itself. The record stays as it is.
func (m *Manager) setProgress(t *task, v view) error {
	now := saidBy(v.fact)
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) error {
		in, err := tx.Instance(v.record.ID)
		if err != nil || in.Generation != now.generation || !in.Status.Starting() {
			return err
		}
		p, err := tx.Progress(in.ID)
		if err != nil || p == nil || p.Generation != in.Generation || !p.Said.IsZero() {
			return err
		}
		p.Text, p.Percent = now.text, &now.percent
		tx.PutProgress(in.ID, p)
		return nil
	})
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		return fmt.Errorf("tell progress of a start: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.said = now
	t.said.at = v.now
	return nil
}

// withdrawnEvery is how often it is worth an event that something in use was
// about to sleep: with a short timeout that is so all the time.
const withdrawnEvery = time.Minute

// withdraw has what is going to sleep run on, for a visitor or since it is used.
func (m *Manager) withdraw(t *task, v view) error {
	const text = "it does not go to sleep: somebody uses it"
	tell := m.worthAnEvent(t, text, v.now, withdrawnEvery)
	return m.record(t, v, withdraw, func(tx controlplane.Tx, in *controlplane.Instance) error {
		if v.wake != nil {
			tx.ClearWake(in.ID, v.wake.Revision)
		}
		if tell {
			tx.AddEvent(in.ID, controlplane.Event{Time: v.now.UTC(), Type: controlplane.EventWithdrawn, Text: text})
		}
		return nil
	})
}

// tellEdges makes sure that all edges come to a revision that has the mark.
func (m *Manager) tellEdges(t *task, v view) error {
	if err := m.cfg.Edges.MarkRoutes(m.ctx, v.mark.revision); err != nil {
		return fmt.Errorf("tell edges that an instance goes to sleep: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.mark.revision == v.mark.revision {
		t.mark.told = true
	}
	return nil
}

// suspend stops the workload and records that it sleeps.
func (m *Manager) suspend(t *task, v view) error {
	l := m.launcherOf(v.record)
	if l == nil {
		return fmt.Errorf("suspend instance: launcher %q is not configured here", v.record.Launcher)
	}
	if v.fact == nil || v.runs() {
		if err := m.halt(l, v.record.ID, v.record.Generation); err != nil {
			return fmt.Errorf("suspend instance: %w", err)
		}
	}
	return m.record(t, v, suspend, nil)
}

// halt ends a workload of this generation or an older one within its grace. A
// newer one is another's to end.
func (m *Manager) halt(l launcher.Launcher, id string, generation int64) error {
	err := l.Stop(m.ctx, id, generation, m.cfg.StopGrace)
	if errors.Is(err, launcher.ErrFenced) {
		return nil
	}
	return err
}

// stop ends a workload that should not run, and keeps its files: a record that
// is missing by mistake must not cost a volume.
func (m *Manager) stop(id string, t *task, v view) error {
	l := m.cfg.Launchers[v.launcher]
	m.cfg.Log.Info("stopping a workload that should not run", zap.String("instance", id), zap.Int64("generation", v.fact.Generation))
	if err := m.halt(l, id, v.fact.Generation); err != nil {
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
	if v.runs() { // Remove would give it no time to put down what it has outside
		if err := m.halt(l, v.record.ID, v.record.Generation); err != nil {
			return fmt.Errorf("terminate instance: %w", err)
		}
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
	delete(m.suspending, v.record.ID)
	return nil
}

// workload is what the launcher needs for a start.
func (m *Manager) workload(in *controlplane.Instance, app *controlplane.App, secrets controlplane.ResolvedSecrets) launcher.Workload {
	return launcher.Workload{
		InstanceID: in.ID,
		Generation: in.Generation,
		App:        in.As(app),
		Runtime:    in.Runtime,
		Profile:    in.Profile(),
		Env:        append(environment(m.cfg.Site, in, app, secrets), waveOIDC(m.cfg.WaveClient, m.cfg.Site, in, app, m.cfg.Log)...),
		Files:      files(app, secrets),
		Warnings:   secrets.Warnings,
		Token:      m.cfg.Token(in.ID, in.Generation),
		OpenBundle: func(ctx context.Context) (controlplane.Blob, error) {
			return m.cfg.Blobs.Open(ctx, app.Bundle)
		},
		BundleLink: func(validity time.Duration) launcher.BundleLink {
			l := controlplane.NewBundleLink(app.Bundle, in.ID, in.Generation, m.cfg.Now(), validity)
			return launcher.BundleLink{Target: m.cfg.BundleTarget(l), Host: m.cfg.Site.BaseDomain(), Digest: l.Digest, Expires: l.Expires}
		},
		HealthTimeout: m.cfg.HealthTimeout,
		StopGrace:     m.cfg.StopGrace,
	}
}
