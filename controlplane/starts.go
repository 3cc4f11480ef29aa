package controlplane

import (
	"fmt"
	"slices"
	"time"
)

// TellStart tells edges of the start that the record says is to be, and notes
// the event. Queue is the place that it will wait at, 0 for none.
func TellStart(tx Tx, in *Instance, queue int) error {
	took, err := tx.AppStarts(in.AppID)
	if err != nil {
		return err
	}
	tx.PutProgress(in.ID, &Progress{
		Generation: in.Generation, Stage: in.Stage, Since: in.Begun.At, TypicalMS: middle(took).Milliseconds(), Queue: queue,
	})
	tx.AddEvent(in.ID, Event{Time: in.Begun.At, Type: EventWake, Text: in.Begun.String()})
	return nil
}

// maxAppStarts is how many of an app's last starts are remembered.
const maxAppStarts = 10

// RememberStart notes how long a start took.
func RememberStart(tx Tx, appID string, took time.Duration) error {
	last, err := tx.AppStarts(appID)
	if err != nil {
		return err
	}
	last = append(last, took)
	tx.SetAppStarts(appID, slices.Delete(last, 0, max(0, len(last)-maxAppStarts)))
	return nil
}

// middle is the median; 0 of nothing.
func middle(of []time.Duration) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// String is one sentence for people.
func (b Beginning) String() string {
	switch b.Cause {
	case BegunRun:
		return "started by " + b.User
	case BegunVisit:
		who := b.User
		if who == "" {
			who = "somebody who is not signed in"
		}
		kind := b.Kind
		if kind == "" {
			kind = "visit"
		}
		return fmt.Sprintf("woken by a %s of %s", kind, who)
	case BegunResume:
		return "resumed by " + b.User
	case BegunRestart:
		return "restarted by " + b.User
	case BegunCrash:
		return "started again, since it ended"
	}
	return "started again, since it should run and did not"
}
