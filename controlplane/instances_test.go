package controlplane_test

import (
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestStatusesOfWhatIsAskedFor(t *testing.T) {
	const (
		pending, deployed, suspending  = controlplane.Pending, controlplane.Deployed, controlplane.Suspending
		suspended, resuming, failed    = controlplane.Suspended, controlplane.Resuming, controlplane.Failed
		unknown, terminating           = controlplane.Unknown, controlplane.Terminating
		suspend, resume, terminateVerb = "suspend", "resume", "terminate"
	)
	for verb, moves := range map[string]map[controlplane.Status]controlplane.Status{
		suspend: {
			pending: suspending, deployed: suspending, suspending: suspending, suspended: suspended,
			resuming: suspending, failed: suspended, unknown: suspending,
		},
		resume: {
			pending: pending, deployed: deployed, suspending: resuming, suspended: resuming,
			resuming: resuming, failed: resuming, unknown: unknown,
		},
		terminateVerb: {
			pending: terminating, deployed: terminating, suspending: terminating, suspended: terminating,
			resuming: terminating, failed: terminating, unknown: terminating, terminating: terminating,
		},
	} {
		in := install(t)
		run := in.mustRun(ada, in.mustImport(ada, demo(verb, "1", "", "")))
		do := map[string]func(string) (*controlplane.Instance, error){
			suspend:       func(id string) (*controlplane.Instance, error) { return in.SuspendInstance(t.Context(), ada, id) },
			resume:        func(id string) (*controlplane.Instance, error) { return in.ResumeInstance(t.Context(), ada, id) },
			terminateVerb: func(id string) (*controlplane.Instance, error) { return in.TerminateInstance(t.Context(), ada, id) },
		}[verb]
		for from, to := range moves {
			t.Run(verb+" "+string(from), func(t *testing.T) {
				in.set(run.ID, func(r *controlplane.Instance) {
					r.Status, r.Generation, r.PrimaryAlias = from, 7, "sales"
					r.Stage, r.Endpoint, r.Reason = "", "", nil
					r.Failures, r.Ends, r.RetryAfter = 3, []time.Time{in.now}, in.now.Add(time.Hour)
					switch from {
					case pending, resuming:
						r.Stage = controlplane.StageStarting
					case deployed, unknown:
						r.Endpoint, r.Identity = "127.0.0.1:80", "process:x"
					case failed:
						r.Reason = &controlplane.Reason{Code: controlplane.Crashed}
					}
				})
				before := in.revision()
				first, err := do(run.ID)
				wantCode(t, err, "")
				same(t, "status", first.Status, to)
				want := before
				if from != to {
					want++
				}
				same(t, "revision", in.revision(), want)
				second, err := do(run.ID)
				wantCode(t, err, "")
				same(t, "the second time", second, first)
				same(t, "revision after the second time", in.revision(), want)
				if from == to {
					return
				}
				generation := int64(7)
				if to == resuming {
					generation++
					if second.Failures != 0 || len(second.Ends) != 0 || !second.RetryAfter.IsZero() || second.Stage != controlplane.StageQueued {
						t.Errorf("a resume regards the back-off: %+v", second)
					}
				}
				same(t, "generation", second.Generation, generation)
				if keeps := from == deployed && to == suspending || from == unknown && to == suspending; (second.Endpoint != "") != keeps {
					t.Errorf("endpoint %q", second.Endpoint)
				}
				if second.Reason != nil && to != terminating || to != resuming && second.Stage != "" {
					t.Errorf("left over: %+v", second)
				}
				if keeps := second.PrimaryAlias == "sales"; keeps == (to == terminating) {
					t.Errorf("primary alias %q", second.PrimaryAlias)
				}
			})
		}
	}
}

func TestWhatIsBeingTerminatedComesBackByNoChange(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("d", "1", "", "")))
	in.set(run.ID, func(r *controlplane.Instance) {
		r.Status, r.Visibility = controlplane.Terminating, controlplane.Private
	})
	public, private := controlplane.Public, controlplane.Private
	for name, c := range map[string]struct {
		do   func() (*controlplane.Instance, error)
		code controlplane.Code
	}{
		"suspend":  {func() (*controlplane.Instance, error) { return in.SuspendInstance(t.Context(), ada, run.ID) }, controlplane.CodeConflict},
		"resume":   {func() (*controlplane.Instance, error) { return in.ResumeInstance(t.Context(), ada, run.ID) }, controlplane.CodeConflict},
		"restart":  {func() (*controlplane.Instance, error) { return in.RestartInstance(t.Context(), ada, run.ID) }, controlplane.CodeConflict},
		"redeploy": {func() (*controlplane.Instance, error) { return in.RedeployInstance(t.Context(), admin, run.ID) }, controlplane.CodeConflict},
		"update": {func() (*controlplane.Instance, error) {
			return in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &public})
		}, controlplane.CodeConflict},
		"update to what it is": {func() (*controlplane.Instance, error) {
			return in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &private})
		}, controlplane.CodeConflict},
		"terminate": {func() (*controlplane.Instance, error) { return in.TerminateInstance(t.Context(), ada, run.ID) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := in.revision()
			_, err := c.do()
			wantCode(t, err, c.code, "is being terminated", "slipway app run "+run.AppID)
			same(t, "revision", in.revision(), before)
		})
	}
}

func TestWhoMayChangeAnInstance(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("d", "1", "", "")))
	for name, c := range map[string]struct {
		actor controlplane.Actor
		code  controlplane.Code
	}{
		"nobody":        {controlplane.Actor{}, controlplane.CodeUnauthorized},
		"somebody else": {bob, controlplane.CodeNotFound},
		"its owner":     {ada, ""},
		"an admin":      {admin, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, do := range []func() (*controlplane.Instance, error){
				func() (*controlplane.Instance, error) { return in.SuspendInstance(t.Context(), c.actor, run.ID) },
				func() (*controlplane.Instance, error) { return in.ResumeInstance(t.Context(), c.actor, run.ID) },
			} {
				_, err := do()
				wantCode(t, err, c.code)
			}
		})
	}
	_, err := in.TerminateInstance(t.Context(), bob, run.ID)
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestWhatIsGoneIsNotFound(t *testing.T) {
	in := install(t)
	run := in.mustRun(ada, in.mustImport(ada, demo("d", "1", "", "")))
	in.gone(run.ID)
	for _, id := range []string{run.ID, run.ID[:6]} {
		_, err := in.TerminateInstance(t.Context(), ada, id)
		wantCode(t, err, controlplane.CodeNotFound)
		_, err = in.Instance(t.Context(), ada, id)
		wantCode(t, err, controlplane.CodeNotFound)
	}
	list, err := in.Instances(t.Context(), ada, controlplane.Page{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("instances %v, %v", list.Items, err)
	}
}
