package controlplane

import (
	"context"

	"github.com/google/uuid"
)

// Run is how an app is started.
type Run struct {
	Visibility    Visibility // empty is PRIVATE
	LaunchProfile string     // empty is the app's own
}

// RunApp is RunAppAs with the app's own launch profile.
func (s *Service) RunApp(ctx context.Context, actor Actor, appID string, v Visibility) (*Instance, error) {
	return s.RunAppAs(ctx, actor, appID, Run{Visibility: v})
}

// RunAppAs starts a new instance of an app. It answers before the instance is
// ready: the status is PENDING.
func (s *Service) RunAppAs(ctx context.Context, actor Actor, appID string, how Run) (*Instance, error) {
	found, err := s.App(ctx, actor, appID)
	if err != nil {
		return nil, err
	}
	v := how.Visibility
	if v == "" {
		v = Private
	}
	if !v.Valid() {
		return nil, invalidVisibility(v)
	}
	if err := s.checkProfile(how.LaunchProfile); err != nil {
		return nil, err
	}
	id := uuid.NewString()
	var in *Instance
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		app, err := s.appFor(tx, actor, RunApp, found.ID)
		if err != nil {
			return err
		}
		if err := s.runnable(tx, actor, app); err != nil {
			return err
		}
		if err := s.mayBe(v, app.RoutingMode); err != nil {
			return err
		}
		if err := s.oneMoreInstance(tx, actor); err != nil {
			return err
		}
		if err := s.oneMoreStart(tx, actor); err != nil {
			return err
		}
		now := s.now()
		begun := Beginning{At: now, Cause: BegunRun, Visitor: Visitor{User: actor.User}}
		in = &Instance{
			ID: id, AppID: app.ID, AppName: app.Name, AppVersion: app.Version,
			Owner: actor.User, Visibility: v, Status: Pending, Stage: StageQueued,
			RoutingMode: app.RoutingMode, Launcher: s.Launchers.Launcher(app.AppMode),
			Generation: 1, LaunchProfile: how.LaunchProfile, LastActive: now, CreatedAt: now, UpdatedAt: now,
			Begun: &begun,
		}
		s.settle(in, app)
		if err := TellStart(tx, in, 0); err != nil {
			return err
		}
		s.audit(tx, actor, "instance.run", "instance/"+in.ID, "app/"+app.ID+", "+string(v))
		return tx.Put(in)
	})
	return in, err
}

// mayBe refuses PUBLIC where it would let nobody in: instances of the base host
// do not trust each other (spec access.md §3).
func (s *Service) mayBe(v Visibility, mode RoutingMode) error {
	open := &Resource{Visibility: v, RoutingMode: mode}
	if v != Public || s.Access.Decide(&Actor{}, OpenInstance, open) == Allowed {
		return nil
	}
	return Errorf(CodeBaseURLPublic, "an instance of mode %s cannot be PUBLIC: all of them share one origin, and its visitors' sessions with it", mode).
		WithHint("give the app RoutingMode DOMAIN, or ask an admin, whose setting base_url_sharing is")
}

func (s *Service) runnable(tx Tx, actor Actor, app *App) error {
	if app.Lifecycle == Link {
		return Errorf(CodeConflict, "app %s is a link to %s and has no instances", app.Label(), app.Link).WithHint("open the link itself")
	}
	missing, err := s.missingSecrets(tx, app)
	if err != nil {
		return err
	}
	reasons := s.toldOf(actor, app, s.reasons(app, missing))
	if len(reasons) == 0 {
		return nil
	}
	refused := Errorf(CodeConflict, "app %s is not runnable: %s", app.Label(), reasons[0].Text)
	for _, r := range reasons {
		refused.Faults = append(refused.Faults, Fault{Code: string(r.Code), Message: r.Text})
	}
	return refused.WithHint("slipway app get %s shows every reason", app.ID)
}

// Instance finds an instance by its ID or a unique prefix of it. Why it failed
// is told in full to who may read its logs; see Reason.ForOthers.
func (s *Service) Instance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	v, err := s.viewer(ctx, actor)
	if err != nil {
		return nil, err
	}
	found, err := find(ctx, actor, v.instances(), id)
	if err != nil {
		return nil, err
	}
	return v.told(found), nil
}

// InstanceForLogs finds an instance whose logs and events the actor may read.
func (s *Service) InstanceForLogs(ctx context.Context, actor Actor, id string) (in *Instance, err error) {
	found, err := s.Instance(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		in, err = s.instanceFor(tx, actor, ReadLogs, found.ID)
		return err
	})
	return in, err
}

// terminate is the verb of TerminateInstance.
const terminate = "terminate"

// TerminateInstance removes an instance with its volumes. Aliases that lead to
// it stay, inactive.
func (s *Service) TerminateInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, terminate, func(_ Tx, in *Instance) (string, error) {
		before := in.Status
		in.Status, in.Stage, in.PrimaryAlias = Terminating, "", ""
		in.Endpoint, in.Identity = "", ""
		return change("status", before, in.Status), nil
	})
}

// change applies f to an instance that the actor may change. f tells what it
// changed; without that nothing is written. What is being terminated comes back
// by no change: to terminate it once more is none, and all else is CodeConflict.
func (s *Service) change(ctx context.Context, actor Actor, id, verb string, f func(Tx, *Instance) (detail string, err error)) (in *Instance, err error) {
	found, err := s.Instance(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if in, err = s.instanceFor(tx, actor, ChangeInstance, found.ID); err != nil {
			return err
		}
		if err := unchanged(ctx, in.Revision); err != nil {
			return err
		}
		switch {
		case in.Status != Terminating:
		case verb == terminate:
			return nil
		default:
			return beingTerminated(in).WithHint("slipway app run %s starts another one", in.AppID)
		}
		detail, err := f(tx, in)
		if err != nil || detail == "" {
			return err
		}
		in.UpdatedAt = s.now()
		s.audit(tx, actor, "instance."+verb, "instance/"+in.ID, detail)
		return tx.Put(in)
	})
	return in, err
}

func beingTerminated(in *Instance) *Error {
	return Errorf(CodeConflict, "instance %s is being terminated", in.ID)
}
