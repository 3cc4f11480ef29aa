package controlplane

import (
	"context"
	"time"
)

// The reasons of Why, beside those of SuspendAfter and the causes of Sleep.
const (
	WhyStarting    = "starting"
	WhySuspending  = "suspending" // Sleep says why
	WhyFailed      = "failed"     // Reason says why
	WhyTerminating = "terminating"
)

// Why is why an instance is awake or asleep (spec instances.md §4). What it
// says of activity may be a minute old.
type Why struct {
	Status Status
	Awake  bool // it runs, starts, or goes to sleep
	// Since is since when: the start was begun, it was ready, it was put to sleep
	// or the start failed.
	Since time.Time
	// Because is AwakeActivity and the like, SleepIdle, SleepAsked, or WhyStarting
	// and the like.
	Because string
	Begun   *Beginning // what woke it, or what led to its last run
	// ExtendedAt is when it was used last, and ExtendedBy how: a cause of
	// Activity, or AwakePresence. Busy is what it says of itself.
	ExtendedAt time.Time
	ExtendedBy string
	Busy       *Busy
	SleepsAt   time.Time // unless something extends it; zero: not by itself
	Sleep      *Sleep    // why it sleeps, or slept last
	Reason     *Reason   // why its start failed
	RetryAt    time.Time // no visit starts it before
}

// InstanceProgress is an instance and how far its start is, nil where none is
// under way. The words on it are for who sees the waiting page too, or may read
// the logs: they name packages.
func (s *Service) InstanceProgress(ctx context.Context, actor Actor, id string) (*Instance, *Progress, error) {
	in, err := s.Instance(ctx, actor, id)
	if err != nil || !in.Status.Starting() {
		return in, nil, err
	}
	var p *Progress
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if p, err = tx.Progress(in.ID); err != nil || p == nil || p.Text == "" {
			return err
		}
		of, err := instanceResource(tx, in)
		if err != nil {
			return err
		}
		may := func(do Action) bool { return s.Access.Decide(&actor, do, of) == Allowed }
		if !may(OpenInstance) && !may(ReadLogs) {
			p.Text = ""
		}
		return nil
	})
	if p != nil && p.Generation != in.Generation {
		p = nil
	}
	return in, p, err
}

// Why tells why an instance is awake or asleep, to whoever reads its logs.
func (s *Service) Why(ctx context.Context, actor Actor, id string) (Why, error) {
	_, why, err := s.InstanceAndWhy(ctx, actor, id)
	return why, err
}

// InstanceAndWhy is Why with the record that it is made of.
func (s *Service) InstanceAndWhy(ctx context.Context, actor Actor, id string) (*Instance, Why, error) {
	in, err := s.InstanceForLogs(ctx, actor, id)
	if err != nil {
		return nil, Why{}, err
	}
	return in, s.why(in), nil
}

var becauseWords = map[string]string{
	AwakeActivity:  "it was used",
	AwakePresence:  "a WebSocket or a stream to it is open",
	AwakeBusy:      "it says that it is busy",
	AwakeNever:     "its app never sleeps by itself",
	AwakeProtected: "an admin has turned its sleep off",
	WhyStarting:    "it is being started",
	WhySuspending:  "it goes to sleep",
	WhyFailed:      "its start failed",
	WhyTerminating: "it is being terminated",
	SleepIdle:      "nobody used it",
	SleepAsked:     "it was suspended",
}

// BecauseWords is a Why's Because for people; what it does not know stays.
func BecauseWords(because string) string { return wordsOf(becauseWords, because) }

var begunWords = map[string]string{
	BegunRun: "its first start", BegunVisit: "a visit", BegunResume: "resume",
	BegunRestart: "restart", BegunCrash: "the restart after its end",
}

// BegunWords is a Beginning's Cause for people; what it does not know stays.
func BegunWords(cause string) string { return wordsOf(begunWords, cause) }

func wordsOf(words map[string]string, code string) string {
	if word, known := words[code]; known {
		return word
	}
	return code
}

func (s *Service) why(in *Instance) Why {
	w := Why{
		Status: in.Status, Begun: in.Begun, Sleep: in.Sleep, Reason: in.Reason, RetryAt: in.RetryAfter,
		ExtendedAt: in.LastActive, ExtendedBy: in.ActiveBy, Since: in.UpdatedAt,
	}
	if in.presentAlone(in.IdleTimeout(s.Sleep)) {
		w.ExtendedAt, w.ExtendedBy = in.LastPresent, AwakePresence
	}
	if in.Busy != nil && in.Busy.Until.After(s.now()) {
		w.Busy = in.Busy
	}
	switch in.Status {
	case Pending, Resuming:
		w.Awake, w.Because = true, WhyStarting
		if in.Begun != nil {
			w.Since = in.Begun.At
		}
	case Deployed, Unknown:
		w.Awake = true
		w.SleepsAt, w.Because = in.SuspendAfter(s.Sleep)
		if in.Begun != nil && !in.Begun.ReadyAt.IsZero() {
			w.Since = in.Begun.ReadyAt
		}
	case Suspending:
		w.Awake, w.Because = true, WhySuspending
	case Failed:
		w.Because = WhyFailed
	case Terminating:
		w.Because = WhyTerminating
	case Suspended:
		w.Because = SleepAsked
		if in.Sleep != nil {
			w.Because = in.Sleep.Cause
		}
	}
	if in.Sleep != nil && (in.Status == Suspending || in.Status == Suspended) {
		w.Since = in.Sleep.At
	}
	return w
}

// InstanceEvents are the last events of an instance, the oldest first.
func (s *Service) InstanceEvents(ctx context.Context, actor Actor, id string) ([]Event, error) {
	in, err := s.InstanceForLogs(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	return s.Happenings.Events(ctx, in.ID)
}

// WatchInstanceEvents calls sink with an instance's last events, now and after
// every change, until ctx ends or the instance is gone. The actor's right is
// looked at once, at the beginning (see InstanceForLogs).
func (s *Service) WatchInstanceEvents(ctx context.Context, actor Actor, id string, sink func([]Event)) error {
	in, err := s.InstanceForLogs(ctx, actor, id)
	if err != nil {
		return err
	}
	return s.Happenings.WatchEvents(ctx, in.ID, sink)
}
