package controlplane

import (
	"context"
	"time"
)

// SuspendInstance puts an instance to sleep. What sleeps stays unchanged; what
// goes to sleep because nobody uses it now does so whoever comes.
func (s *Service) SuspendInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, "suspend", func(tx Tx, in *Instance) (string, error) {
		before := in.Status
		asked := &Sleep{At: s.now(), Cause: SleepAsked, By: actor.User}
		switch {
		case in.Status == Suspending && in.Withdrawable() && in.Sleep.Cause == SleepIdle:
			in.Sleep = asked
			tx.AddEvent(in.ID, Event{Time: asked.At, Type: EventSuspend, Text: "suspended by " + actor.User})
			return "idle → asked", nil
		case in.Status == Suspending, in.Status == Suspended:
			return "", nil
		case in.Status == Failed:
			// Nothing runs: it sleeps at once, and a visit wakes it.
			in.Status, in.Stage, in.Reason, in.Failures = Suspended, "", nil, 0
			in.RetryAfter = time.Time{}
			asked.Stopping = true
			tx.PutProgress(in.ID, nil)
		default:
			// Where it answers stays known until it is asked to stop.
			in.Status, in.Stage, in.RetryAfter = Suspending, "", time.Time{}
			tx.PutProgress(in.ID, nil)
		}
		in.Sleep = asked
		tx.AddEvent(in.ID, Event{Time: asked.At, Type: EventSuspend, Text: "suspended by " + actor.User})
		return change("status", before, in.Status), nil
	})
}

// ResumeInstance starts what sleeps or failed, without regard to a back-off.
// What goes to sleep and has not been asked to stop runs on. What runs or starts
// stays unchanged.
func (s *Service) ResumeInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, "resume", func(tx Tx, in *Instance) (string, error) {
		before := in.Status
		switch {
		case in.Withdrawable():
			in.Withdraw()
			in.LastActive = s.now()
			tx.AddEvent(in.ID, Event{Time: in.LastActive, Type: EventWithdrawn, Text: "it runs on: resumed by " + actor.User})
			return change("status", before, in.Status), nil
		case in.Status == Suspended, in.Status == Suspending, in.Status == Failed:
			return s.startAnew(tx, actor, in, BegunResume)
		}
		return "", nil
	})
}

// RestartInstance starts what runs anew, and what does not as ResumeInstance.
// The volumes stay; requests under way end.
func (s *Service) RestartInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, "restart", func(tx Tx, in *Instance) (string, error) {
		cause := BegunRestart
		if in.Status == Suspended || in.Status == Failed {
			cause = BegunResume
		}
		return s.startAnew(tx, actor, in, cause)
	})
}

// startAnew counts a start by hand, which forgets what failed before.
func (s *Service) startAnew(tx Tx, actor Actor, in *Instance, cause string) (detail string, err error) {
	if err := s.oneMoreStart(tx, actor); err != nil {
		return "", err
	}
	before := in.Status
	// The launcher ends an older generation before it starts this one.
	in.Failures, in.Ends, in.RetryAfter = 0, nil, time.Time{}
	in.Resume(Beginning{At: s.now(), Cause: cause, Visitor: Visitor{User: actor.User}})
	return change("status", before, in.Status), TellStart(tx, in, 0)
}
