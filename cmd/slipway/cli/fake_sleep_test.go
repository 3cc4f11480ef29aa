package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func (f *fakeAPI) handleSleep(handle func(string, int, func(*http.Request) (any, error))) {
	handle("POST /api/v1/instances/{id}/restart", 200, f.set("RESUMING", "DEPLOYED"))
	handle("PATCH /api/v1/instances/{id}", 200, f.patchInstance)
	handle("GET /api/v1/instances/{id}/status", 200, f.status)
	handle("GET /api/v1/instances/{id}/why", 200, f.why)
	f.mux.HandleFunc("GET /api/v1/instances/{id}/events", f.events)
}

func (f *fakeAPI) patchInstance(r *http.Request) (any, error) {
	in, err := f.instance(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var patch v1.InstancePatch
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "%v", err)
	}
	if patch.Visibility != nil {
		in.Visibility = *patch.Visibility
	}
	if patch.Wake != nil {
		in.Wake = *patch.Wake
	}
	if patch.Autosuspend != nil {
		in.SuspendAfter, in.AwakeBecause = nil, new(controlplane.AwakeProtected)
		if *patch.Autosuspend {
			in.SuspendAfter, in.AwakeBecause = new(fakeTime.Add(8*time.Hour)), new(controlplane.AwakeActivity)
		}
	}
	return in, nil
}

func (f *fakeAPI) status(r *http.Request) (any, error) {
	in, err := f.instance(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := v1.InstanceStatus{ID: in.ID, Status: in.Status, Stage: in.Stage, Reason: in.Reason}
	if in.Status == "SUSPENDED" { // which then says that it starts
		out.Status, out.Stage, out.Percent, out.Text = "RESUMING", new("dependencies"), new(77), new("installing numpy (3 of 12)")
	}
	return out, nil
}

// why is of an instance that was woken by a visit, or, suspended, sleeps.
func (f *fakeAPI) why(r *http.Request) (any, error) {
	in, err := f.instance(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	w := v1.Why{Status: in.Status, Since: fakeTime, Sleep: &v1.Sleep{At: fakeTime.Add(-time.Hour), Cause: "idle"}}
	switch in.Status {
	case "DEPLOYED":
		w.Awake, w.Because = true, "busy"
		w.Begun = &v1.Beginning{At: fakeTime, Cause: "visit", User: new("dana"), Kind: new("page"), Edge: new("edge-1"), ReadyAt: new(fakeTime.Add(1500 * time.Millisecond)), Warnings: []string{"memory limit 1Gi is not enforced"}}
		w.ExtendedAt, w.ExtendedBy = new(fakeTime.Add(time.Minute)), new("websocket")
		w.Busy = &v1.Busy{Until: new(fakeTime.Add(2 * time.Hour)), Reason: new("training\x1b[2J")}
		w.SleepsAt = w.Busy.Until
	default:
		w.Because, w.Sleep.Cause, w.Sleep.By = "asked", "asked", new("dana")
		w.RetryAt = new(fakeTime.Add(time.Minute))
		w.Reason = &v1.Reason{Code: "crashed", Text: "it ended"}
	}
	return w, nil
}

var fakeEvents = []v1.Event{
	{Time: fakeTime, Type: "wake", Text: "a visit by dana"},
	{Time: fakeTime.Add(time.Second), Type: "stage", Stage: new("dependencies"), Text: "it came to the stage dependencies"},
	{Time: fakeTime.Add(2 * time.Second), Type: "failed", Reason: new("crashed"), Text: "it ended\nwith code 1"},
}

func (f *fakeAPI) events(w http.ResponseWriter, r *http.Request) {
	in, err := f.instance(r.PathValue("id"))
	switch {
	case err != nil || in.Status == "GONE":
		refuse(w, controlplane.Errorf(controlplane.CodeNotFound, "no instance %q", r.PathValue("id")))
	case r.URL.Query().Get("follow") == "":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v1.Events{Items: fakeEvents})
	default:
		// The instance ends after its last event.
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range fakeEvents {
			data, _ := json.Marshal(e)
			fmt.Fprintf(w, ": a comment\n\nevent: instance\nid: %s\ndata: %s\n\n", e.Time.Format(time.RFC3339Nano), data)
		}
		in.Status = "GONE"
	}
}
