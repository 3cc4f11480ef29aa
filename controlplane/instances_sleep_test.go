package controlplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// types are those of an instance's events, the oldest first.
func (in *installation) types(id string) (out []controlplane.EventType) {
	in.Helper()
	events, err := in.store.Events(in.Context(), id)
	if err != nil {
		in.Fatal(err)
	}
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

func (in *installation) progress(id string) (p *controlplane.Progress) {
	in.Helper()
	_, err := in.store.Update(in.Context(), func(tx controlplane.Tx) (err error) {
		p, err = tx.Progress(id)
		return err
	})
	if err != nil {
		in.Fatal(err)
	}
	return p
}

func TestASuspendThatWasNotBegunIsTakenBack(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	for name, c := range map[string]struct {
		before     controlplane.Instance
		status     controlplane.Status
		generation int64
	}{
		"a ready one runs on":               {controlplane.Instance{Endpoint: "e", Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked}}, controlplane.Deployed, 7},
		"an idle one runs on":               {controlplane.Instance{Endpoint: "e", Sleep: &controlplane.Sleep{Cause: controlplane.SleepIdle}}, controlplane.Deployed, 7},
		"what is being stopped starts anew": {controlplane.Instance{Endpoint: "e", Sleep: &controlplane.Sleep{Stopping: true}}, controlplane.Resuming, 8},
		"what was never ready starts anew":  {controlplane.Instance{Sleep: &controlplane.Sleep{Cause: controlplane.SleepAsked}}, controlplane.Resuming, 8},
		"a record of an older program":      {controlplane.Instance{Endpoint: "e"}, controlplane.Resuming, 8},
	} {
		t.Run(name, func(t *testing.T) {
			in.set(run.ID, func(r *controlplane.Instance) {
				r.Status, r.Generation, r.Endpoint, r.Sleep = controlplane.Suspending, 7, c.before.Endpoint, c.before.Sleep
			})
			got, err := in.ResumeInstance(t.Context(), ada, run.ID)
			wantCode(t, err, "")
			same(t, "status", got.Status, c.status)
			same(t, "generation", got.Generation, c.generation)
			same(t, "endpoint kept", got.Endpoint != "", c.status == controlplane.Deployed)
		})
	}
}

// Who asks for a suspend means it: visitors do not take it back.
func TestAnIdleSuspendBecomesOneThatWasAskedFor(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	in.set(run.ID, func(r *controlplane.Instance) {
		r.Status, r.Endpoint, r.Sleep = controlplane.Suspending, "e", &controlplane.Sleep{Cause: controlplane.SleepIdle}
	})
	got, err := in.SuspendInstance(t.Context(), ada, run.ID)
	wantCode(t, err, "")
	same(t, "sleep", got.Sleep, &controlplane.Sleep{At: got.UpdatedAt, Cause: controlplane.SleepAsked, By: "ada"})
}

func TestARestart(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	for from, cause := range map[controlplane.Status]string{
		controlplane.Pending: controlplane.BegunRestart, controlplane.Deployed: controlplane.BegunRestart,
		controlplane.Resuming: controlplane.BegunRestart, controlplane.Unknown: controlplane.BegunRestart,
		controlplane.Suspending: controlplane.BegunRestart,
		controlplane.Suspended:  controlplane.BegunResume, controlplane.Failed: controlplane.BegunResume,
	} {
		t.Run(string(from), func(t *testing.T) {
			in.set(run.ID, func(r *controlplane.Instance) {
				r.Status, r.Generation, r.Endpoint, r.Failures = from, 3, "e", 4
				r.Busy = &controlplane.Busy{Until: in.now.Add(time.Hour)}
			})
			got, err := in.RestartInstance(t.Context(), ada, run.ID)
			wantCode(t, err, "")
			same(t, "status", got.Status, controlplane.Resuming)
			same(t, "generation", got.Generation, int64(4))
			same(t, "begun", got.Begun.Cause, cause)
			if got.Endpoint != "" || got.Failures != 0 || got.Busy != nil {
				t.Errorf("left over: %+v", got)
			}
			if p := in.progress(run.ID); p == nil || p.Generation != 4 || p.Stage != controlplane.StageQueued {
				t.Errorf("progress %+v", p)
			}
		})
	}
	_, err := in.RestartInstance(t.Context(), bob, run.ID)
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestWhoseVisitsWakeAndWhetherItSleeps(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	never, odd, on := controlplane.WakeNever, controlplane.WakePolicy("friends"), true
	got, err := in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Wake: &never})
	wantCode(t, err, "")
	same(t, "wake", got.Wake, never)
	_, err = in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Wake: &odd})
	wantCode(t, err, controlplane.CodeInvalid, "friends")
	_, err = in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{NoAutosuspend: &on})
	wantCode(t, err, controlplane.CodeForbidden, "admins")
	got, err = in.UpdateInstance(t.Context(), admin, run.ID, controlplane.InstanceChange{NoAutosuspend: &on})
	wantCode(t, err, "")
	same(t, "protected", got.NoAutosuspend, true)
	before := in.revision()
	_, err = in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Wake: &never, NoAutosuspend: &on})
	wantCode(t, err, "")
	same(t, "writes of what is so already", in.revision(), before)
	same(t, "events", in.types(run.ID), []controlplane.EventType{controlplane.EventWake, controlplane.EventChanged, controlplane.EventChanged})
}

func TestAnInstanceSaysThatItIsBusy(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	self := controlplane.Actor{Instance: run.ID}
	now := in.now.UTC().Truncate(time.Microsecond)
	got, err := in.SetBusy(t.Context(), self, 2*time.Hour, "training")
	wantCode(t, err, "")
	same(t, "busy", got.Busy, &controlplane.Busy{Until: now.Add(2 * time.Hour), Reason: "training"})
	before := in.revision()
	in.now = in.now.Add(time.Second - time.Microsecond)
	got, err = in.SetBusy(t.Context(), self, 2*time.Hour, "training")
	wantCode(t, err, "")
	same(t, "busy, in a loop", got.Busy.Until, now.Add(2*time.Hour))
	same(t, "writes of a loop", in.revision(), before)
	in.now = in.now.Add(time.Microsecond)
	now = in.now.UTC().Truncate(time.Microsecond)
	got, err = in.SetBusy(t.Context(), self, 2*time.Hour, "training")
	wantCode(t, err, "")
	same(t, "a second later", got.Busy.Until, now.Add(2*time.Hour))
	got, err = in.SetBusy(t.Context(), self, 2*time.Hour, "testing")
	wantCode(t, err, "")
	same(t, "with another reason", got.Busy.Reason, "testing")
	got, err = in.SetBusy(t.Context(), self, 1000*time.Hour, strings.Repeat("é", 150))
	wantCode(t, err, "")
	same(t, "the most", got.Busy, &controlplane.Busy{Until: now.Add(controlplane.MaxBusy), Reason: strings.Repeat("é", 100)})
	got, err = in.SetBusy(t.Context(), self, 0, "")
	wantCode(t, err, "")
	same(t, "no longer", got.Busy, (*controlplane.Busy)(nil))
	same(t, "events", in.types(run.ID), []controlplane.EventType{controlplane.EventWake, controlplane.EventBusy, controlplane.EventBusy})
	_, err = in.SetBusy(t.Context(), self, -1, "")
	wantCode(t, err, controlplane.CodeInvalid)
	_, err = in.SetBusy(t.Context(), ada, time.Hour, "")
	wantCode(t, err, controlplane.CodeForbidden)
	in.set(run.ID, func(r *controlplane.Instance) { r.Status = controlplane.Suspended })
	_, err = in.SetBusy(t.Context(), self, time.Hour, "")
	wantCode(t, err, controlplane.CodeConflict)
}

func TestAnInstanceSaysHowFarItIs(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	self := controlplane.Actor{Instance: run.ID}
	say := func(percent int, text string) error {
		_, err := in.SetProgress(t.Context(), self, &percent, text)
		return err
	}
	wantCode(t, say(101, ""), controlplane.CodeInvalid)
	wantCode(t, say(-1, ""), controlplane.CodeInvalid)
	wantCode(t, say(10, "loading"), "")
	wantCode(t, say(11, "at once after it"), "")
	p := in.progress(run.ID)
	if p.Percent == nil || *p.Percent != 10 || p.Text != "loading" || p.Stage != controlplane.StageQueued {
		t.Errorf("progress %+v", p)
	}
	in.now = in.now.Add(time.Second)
	wantCode(t, say(12, ""), "")
	same(t, "a second later", *in.progress(run.ID).Percent, 12)
	in.set(run.ID, func(r *controlplane.Instance) { r.Status = controlplane.Deployed })
	in.now = in.now.Add(time.Second)
	wantCode(t, say(99, ""), "")
	same(t, "of what is ready", *in.progress(run.ID).Percent, 12)
	_, err := in.SetProgress(t.Context(), ada, nil, "")
	wantCode(t, err, controlplane.CodeForbidden)
}

func TestWhy(t *testing.T) {
	in := install(t)
	in.Sleep = controlplane.SleepSettings{Timeout: time.Hour, Presence: 24 * time.Hour}
	run := in.mustRun(ada, in.mustImport(ada, demo("demo", "1", "", "")))
	now := in.now.UTC().Truncate(time.Microsecond)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	reason := &controlplane.Reason{Code: controlplane.Crashed, Text: "it ended"}
	for name, c := range map[string]struct {
		record  func(*controlplane.Instance)
		awake   bool
		because string
		since   time.Time
		sleeps  time.Time
	}{
		"starts": {func(r *controlplane.Instance) { r.Status = controlplane.Resuming }, true, controlplane.WhyStarting, ago(2 * time.Minute), time.Time{}},
		"used":   {func(*controlplane.Instance) {}, true, controlplane.AwakeActivity, ago(time.Minute), now.Add(59 * time.Minute)},
		"a WebSocket is open": {func(r *controlplane.Instance) { r.LastPresent = ago(time.Second) },
			true, controlplane.AwakePresence, ago(time.Minute), now.Add(time.Hour - time.Second)},
		"a stream is in use": {func(r *controlplane.Instance) { r.LastPresent = ago(50 * time.Second) },
			true, controlplane.AwakeActivity, ago(time.Minute), now.Add(time.Hour - 50*time.Second)},
		"busy": {func(r *controlplane.Instance) { r.Busy = &controlplane.Busy{Until: now.Add(3 * time.Hour)} },
			true, controlplane.AwakeBusy, ago(time.Minute), now.Add(3 * time.Hour)},
		"protected": {func(r *controlplane.Instance) { r.NoAutosuspend = true }, true, controlplane.AwakeProtected, ago(time.Minute), time.Time{}},
		"never":     {func(r *controlplane.Instance) { r.Timeout = -1 }, true, controlplane.AwakeNever, ago(time.Minute), time.Time{}},
		"going":     {func(r *controlplane.Instance) { r.Status = controlplane.Suspending }, true, controlplane.WhySuspending, ago(time.Second), time.Time{}},
		"ends": {func(r *controlplane.Instance) { r.Status, r.UpdatedAt = controlplane.Terminating, ago(time.Second) },
			false, controlplane.WhyTerminating, ago(time.Second), time.Time{}},
		"idle":       {func(r *controlplane.Instance) { r.Status = controlplane.Suspended }, false, controlplane.SleepIdle, ago(time.Second), time.Time{}},
		"its reason": {func(r *controlplane.Instance) { r.Status, r.Reason, r.RetryAfter = controlplane.Failed, reason, now }, false, controlplane.WhyFailed, now, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			in.set(run.ID, func(r *controlplane.Instance) {
				*r = *run
				r.Status, r.LastActive = controlplane.Deployed, ago(time.Minute)
				r.Begun = &controlplane.Beginning{At: ago(2 * time.Minute), ReadyAt: ago(time.Minute)}
				r.Sleep = &controlplane.Sleep{At: ago(time.Second), Cause: controlplane.SleepIdle}
				c.record(r)
			})
			w, err := in.Why(t.Context(), ada, run.ID)
			wantCode(t, err, "")
			if w.Awake != c.awake || w.Because != c.because || !w.Since.Equal(c.since) || !w.SleepsAt.Equal(c.sleeps) || w.Sleep == nil {
				t.Errorf("got %+v", w)
			}
		})
	}
	_, err := in.Why(t.Context(), bob, run.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = in.InstanceEvents(t.Context(), bob, run.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	events, err := in.InstanceEvents(t.Context(), ada, run.ID)
	wantCode(t, err, "")
	if len(events) != 1 || events[0].Text != "started by ada" {
		t.Errorf("events %+v", events)
	}
}

func TestWhatAStartTookIsRemembered(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	for n := range 12 {
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			return controlplane.RememberStart(tx, app.ID, time.Duration(n)*time.Second)
		})
		wantCode(t, err, "")
	}
	// The last ten are 2 to 11 s.
	same(t, "typical", in.progress(in.mustRun(ada, app).ID).TypicalMS, int64(7000))
}
