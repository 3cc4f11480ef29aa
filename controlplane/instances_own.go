package controlplane

import (
	"context"
	"strings"
	"time"
)

// MaxBusy is for how long an instance may say at once that it is busy; it may
// say so again.
const MaxBusy = 24 * time.Hour

// maxSaid is how many bytes of an app's own words are kept.
const maxSaid = 200

// sayApart is the least time between two reports of progress that are told, since
// every edge hears of each, and by which a busy instance must move the end for
// that to be written.
const sayApart = time.Second

// SetBusy keeps an instance awake for that long, at most MaxBusy; 0 takes it
// back. What changes the end by less than a second changes nothing. The actor is
// the instance itself (AuthenticateInstance).
func (s *Service) SetBusy(ctx context.Context, actor Actor, how time.Duration, reason string) (*Instance, error) {
	if how < 0 {
		return nil, Errorf(CodeInvalid, "busy for %s", how).WithHint("give a time above 0, or 0 for no longer")
	}
	return s.own(ctx, actor, func(tx Tx, in *Instance) (bool, error) {
		if !in.Status.Starting() && in.Status != Deployed && in.Status != Unknown && in.Status != Suspending {
			return false, Errorf(CodeConflict, "instance %s is %s: only what runs is busy", in.ID, in.Status)
		}
		now := s.now()
		was := in.Busy != nil && in.Busy.Until.After(now)
		if how == 0 {
			in.Busy = nil
			if was {
				tx.AddEvent(in.ID, Event{Time: now, Type: EventBusy, Text: "it is busy no longer"})
			}
			return was, nil
		}
		busy := &Busy{Until: now.Add(min(how, MaxBusy)), Reason: said(reason)}
		if was && busy.Reason == in.Busy.Reason && busy.Until.Sub(in.Busy.Until).Abs() < sayApart {
			return false, nil // who says it in a loop writes once a second
		}
		in.Busy = busy
		if !was { // who says it every second fills no list of events
			text := "it is busy until " + in.Busy.Until.Format(time.RFC3339)
			if in.Busy.Reason != "" {
				text += ": " + in.Busy.Reason
			}
			tx.AddEvent(in.ID, Event{Time: now, Type: EventBusy, Text: text})
		}
		return true, nil
	})
}

// SetProgress says how far the start of an instance is, for the waiting page:
// percent is 0 to 100 or nil, of the text 200 bytes are kept. What comes within
// a second of the last is left out, and so is what no start waits for. The actor
// is the instance itself.
func (s *Service) SetProgress(ctx context.Context, actor Actor, percent *int, text string) (*Instance, error) {
	if percent != nil && (*percent < 0 || *percent > 100) {
		return nil, Errorf(CodeInvalid, "%d percent", *percent).WithHint("give a number from 0 to 100")
	}
	return s.own(ctx, actor, func(tx Tx, in *Instance) (bool, error) {
		if !in.Status.Starting() {
			return false, nil
		}
		p, err := tx.Progress(in.ID)
		if err != nil || p == nil || p.Generation != in.Generation || s.now().Sub(p.Said) < sayApart {
			return false, err
		}
		p.Percent, p.Text, p.Said = percent, said(text), s.now()
		tx.PutProgress(in.ID, p)
		return false, nil
	})
}

// own applies f to the instance whose own token the actor has. The record is
// written if f changed it.
func (s *Service) own(ctx context.Context, actor Actor, f func(Tx, *Instance) (changed bool, err error)) (in *Instance, err error) {
	if actor.Instance == "" {
		return nil, Errorf(CodeForbidden, "this is for an instance's own token").
			WithHint("the file SLIPWAY_TOKEN_FILE, in the environment of the app, holds it")
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if in, err = tx.Instance(actor.Instance); err != nil {
			return err
		}
		if in.Status == Terminating {
			return beingTerminated(in)
		}
		changed, err := f(tx, in)
		if err != nil || !changed {
			return err
		}
		in.UpdatedAt = s.now()
		return tx.Put(in)
	})
	return in, err
}

// said cuts an app's own words to what is kept of them.
func said(text string) string {
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxSaid)], ""))
}
