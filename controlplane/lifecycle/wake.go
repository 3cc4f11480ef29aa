package lifecycle

import (
	"fmt"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// wake starts an instance for a visitor, or takes the intent back where they
// have started as many as they may.
func (m *Manager) wake(t *task, v view) error {
	m.mu.Lock()
	place := m.starts.place()
	t.foretold = place
	m.mu.Unlock()
	over := false
	err := m.update(t, v, func(tx controlplane.Tx, in *controlplane.Instance) (err error) {
		if !v.holds(in, wake) {
			return errMoved
		}
		if over, err = m.overLimit(tx, v); err != nil {
			return err
		}
		tx.ClearWake(in.ID, v.wake.Revision)
		if over {
			tx.AddEvent(in.ID, controlplane.Event{
				Time: v.now.UTC(), Type: controlplane.EventRefused, Text: "a visit did not wake it: its visitor has started too many within the last hour",
			})
			return nil
		}
		change(in, v, wake)
		in.UpdatedAt = v.now.UTC()
		controlplane.AuditSystem(tx, v.now.UTC(), "instance.wake", "instance/"+in.ID,
			fmt.Sprintf("status %s → %s, %s", v.record.Status, in.Status, in.Begun))
		if err := controlplane.TellStart(tx, in, place); err != nil {
			return err
		}
		return tx.Put(in)
	})
	if err == nil && over {
		m.mu.Lock()
		forgetWake(t, v)
		m.mu.Unlock()
	}
	return err
}

// overLimit counts the start by whom it is for. Over a limit it is not counted,
// and edges are told who may not start more for now.
func (m *Manager) overLimit(tx controlplane.Tx, v view) (over bool, err error) {
	type counted struct {
		kind   controlplane.StartKind
		of     string
		starts []time.Time
	}
	var all []counted
	now := v.now.UTC().Truncate(time.Microsecond)
	count := func(kind controlplane.StartKind, of string, limit int) error {
		if of == "" || limit == 0 {
			return nil
		}
		starts, wait, err := controlplane.OneMoreStart(tx, kind, of, limit, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			over = true
			tx.LimitStarts(kind, of, wait)
		}
		all = append(all, counted{kind, of, append(starts, now)})
		return nil
	}
	user, source := v.wake.User, v.wake.CountedSource()
	anonymous := source
	if user != "" {
		anonymous = ""
		record, err := tx.User(user)
		switch {
		case err == nil && m.cfg.Rights.Actor(record).Admin:
			user = ""
		case err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound:
			return false, err
		}
	}
	for _, c := range []struct {
		kind  controlplane.StartKind
		of    string
		limit int
	}{
		{controlplane.StartsOfUser, user, m.cfg.Starts.User},
		{controlplane.StartsOfSource, source, m.cfg.Starts.Source},
		{controlplane.StartsOfAnonymous, anonymous, m.cfg.Starts.Anonymous},
	} {
		if err := count(c.kind, c.of, c.limit); err != nil {
			return false, err
		}
	}
	if !over {
		for _, c := range all {
			tx.SetStarts(c.kind, c.of, c.starts)
		}
	}
	return over, nil
}

// refuse takes back an intent that is to wake nothing, and says so.
func (m *Manager) refuse(t *task, v view) error {
	text := "a visit did not wake it: it is resumed by hand"
	switch {
	case v.mayWake():
		text = "a visit did not start it: the last start failed, and no visit starts it before " + v.record.RetryAfter.Format(time.RFC3339)
	case v.record.Wake == controlplane.WakeOwner:
		text = "a visit did not wake it: those of its owner do"
	}
	if !m.worthAnEvent(t, text, v.now, refusedEvery) {
		text = ""
	}
	return m.clearWake(t, v, text)
}

// clearWake takes back an intent; text, if there is one, is the event's.
func (m *Manager) clearWake(t *task, v view, text string) error {
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) error {
		if text != "" {
			if _, err := tx.Instance(v.record.ID); err != nil {
				return err // events go with the record
			}
			tx.AddEvent(v.record.ID, controlplane.Event{Time: v.now.UTC(), Type: controlplane.EventRefused, Text: text})
		}
		tx.ClearWake(v.wake.InstanceID, v.wake.Revision)
		return nil
	})
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		return fmt.Errorf("clear wake intent: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	forgetWake(t, v)
	return nil
}

// forgetWake forgets an intent that was taken back. The mutex is held.
func forgetWake(t *task, v view) {
	if t.wake == v.wake {
		t.wake = nil
	}
}

// refusedEvery is how often the same refusal is worth an event. No back-off is
// longer.
const refusedEvery = lastRetry

// worthAnEvent reports whether the same was not told of the instance within that
// time: visits that come all the time are to fill no list of events.
func (m *Manager) worthAnEvent(t *task, text string, now time.Time, every time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.told == text && now.Sub(t.toldAt) < every {
		return false
	}
	t.told, t.toldAt = text, now
	return true
}
