package waitingpage

import (
	"strconv"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// step is a stage in the list that the page shows.
type step struct {
	Stage controlplane.Stage
	Name  string
	doing string // a sentence
	// Seldom: not every start comes by here. It is shown while it lasts.
	Seldom bool
}

// steps are the stages in their order.
var steps = []step{
	{controlplane.StageQueued, "Waiting for its turn", "The app waits for its turn to start.", true},
	{controlplane.StageScheduled, "Finding a place", "A place for the app is being found.", false},
	{controlplane.StageImage, "Fetching the image", "The app's image is being fetched.", true},
	{controlplane.StageBundle, "Unpacking the files", "The app's files are being unpacked.", false},
	{controlplane.StageDependencies, "Installing what it needs", "What the app needs is being installed.", false},
	{controlplane.StageStarting, "Starting the app", "The app is being started.", false},
	{controlplane.StageHealth, "Waiting for its first answer", "The app runs, and its first answer is awaited.", false},
	{controlplane.StageReady, "Ready", "The app is ready.", false},
}

// stageAt is the place of a stage in the list; -1: it is none.
func stageAt(stage string) int {
	for i, s := range steps {
		if string(s.Stage) == stage {
			return i
		}
	}
	return -1
}

func messageOf(seen *Seen, s *State) string {
	status := seen.Instance.Status
	switch {
	case status == routing.Deployed || status == routing.Unknown:
		return "The app is ready."
	case s.Failed():
		return "The app could not be started."
	case s.Queue > 0:
		return "The app waits for its turn to start: place " + strconv.Itoa(s.Queue) + " in the queue."
	}
	if at := stageAt(s.Stage); at >= 0 {
		return steps[at].doing
	}
	switch status {
	case routing.Pending:
		return "The app is being started for the first time."
	case routing.Suspending:
		return "The app is going to sleep, and is woken after that."
	case routing.Suspended:
		switch wake := seen.Instance.Wake; {
		case wake == routing.WakeNever:
			return "The app sleeps until it is started by hand."
		case wake == routing.WakeOwner && !seen.Owner:
			return "The app sleeps until its owner opens it."
		}
		return "The app slept, and a visit wakes it."
	}
	return "The app is being started."
}

// reasonOf is why a start failed, as the visitor may know it.
func reasonOf(p *controlplane.Progress, owner bool) *Reason {
	if p == nil || p.Reason == nil {
		return &Reason{Code: "unknown", Text: "Its owner finds the reason with: slipway instance get"}
	}
	r := *p.Reason
	if !owner || r.Text == "" {
		r = r.ForOthers()
	}
	return &Reason{Code: string(r.Code), Text: r.Text}
}
