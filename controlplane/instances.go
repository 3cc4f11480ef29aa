package controlplane

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// RunApp starts a new instance of an app. It answers before the instance is
// ready: the status is PENDING.
func (s *Service) RunApp(ctx context.Context, actor Actor, appID string, v Visibility) (*Instance, error) {
	if v == "" {
		v = Private
	}
	if !v.Valid() {
		return nil, invalidVisibility(v)
	}
	appID, err := s.resolveApp(ctx, appID)
	if err != nil {
		return nil, err
	}
	id := uuid.NewString()
	var in *Instance
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		app, err := tx.App(appID)
		if err != nil {
			return err
		}
		if err := s.mayRun(actor, app); err != nil {
			return err
		}
		now := s.now()
		in = &Instance{
			ID: id, AppID: app.ID, AppName: app.Name, AppVersion: app.Version,
			Owner: actor.User, Visibility: v, Status: Pending, Stage: StageQueued,
			RoutingMode: app.RoutingMode, Launcher: s.Launchers.Launcher(app.AppMode),
			Generation: 1, LastActive: now, CreatedAt: now, UpdatedAt: now,
		}
		return tx.Put(in)
	})
	return in, err
}

func (s *Service) mayRun(actor Actor, app *App) error {
	if app.Lifecycle == Link {
		return Errorf(CodeConflict, "app %s is a link to %s and has no instances", app.Label(), app.Link).WithHint("open the link itself")
	}
	if app.Lifecycle == Managed {
		if err := owns(actor, app.Owner, "managed app", app.ID); err != nil {
			return err
		}
	}
	reasons := s.Reasons(app)
	if len(reasons) == 0 {
		return nil
	}
	refused := Errorf(CodeConflict, "app %s is not runnable: %s", app.Label(), reasons[0].Text)
	for _, r := range reasons {
		refused.Faults = append(refused.Faults, Fault{Code: string(r.Code), Message: r.Text})
	}
	return refused.WithHint("slipway app get %s shows every reason", app.ID)
}

// Instance finds an instance by its ID or a unique prefix of it.
func (s *Service) Instance(ctx context.Context, _ Actor, id string) (*Instance, error) {
	id, err := s.resolveInstance(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.Store.Instance(ctx, id)
}

// Instances lists the instances.
func (s *Service) Instances(ctx context.Context, _ Actor, p Page) (List[*Instance], error) {
	return s.Store.Instances(ctx, p)
}

// SuspendInstance puts an instance to sleep. What sleeps stays unchanged.
func (s *Service) SuspendInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, func(in *Instance) error {
		switch in.Status {
		case Suspending, Suspended:
		case Failed:
			// Nothing runs: it sleeps at once, and a visit wakes it.
			in.Status, in.Stage, in.Reason, in.Failures = Suspended, "", nil, 0
			in.RetryAfter = time.Time{}
		default:
			in.Status, in.Stage, in.RetryAfter = Suspending, "", time.Time{}
			in.Endpoint, in.Identity = "", ""
		}
		return nil
	})
}

// ResumeInstance starts what sleeps or failed, without regard to a back-off.
// What runs or starts stays unchanged.
func (s *Service) ResumeInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, func(in *Instance) error {
		switch in.Status {
		case Suspended, Suspending, Failed:
			// The launcher ends an older generation before it starts this one.
			in.Failures, in.Ends, in.RetryAfter = 0, nil, time.Time{}
			in.Resume()
		}
		return nil
	})
}

// TerminateInstance removes an instance with its volumes. Aliases that lead to
// it stay, inactive.
func (s *Service) TerminateInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, func(in *Instance) error {
		in.Status, in.Stage, in.PrimaryAlias = Terminating, "", ""
		in.Endpoint, in.Identity = "", ""
		return nil
	})
}

// change applies f to an instance that the actor may change.
func (s *Service) change(ctx context.Context, actor Actor, id string, f func(*Instance) error) (in *Instance, err error) {
	if id, err = s.resolveInstance(ctx, id); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if in, err = tx.Instance(id); err != nil {
			return err
		}
		if err := owns(actor, in.Owner, "instance", id); err != nil {
			return err
		}
		before := *in
		if in.Status == Terminating {
			return nil
		}
		if err := f(in); err != nil {
			return err
		}
		if in.Status == before.Status {
			in = &before
			return nil
		}
		in.UpdatedAt = s.now()
		return tx.Put(in)
	})
	return in, err
}

// Resume makes the record that of a new start.
func (in *Instance) Resume() {
	in.Status, in.Stage, in.Reason = Resuming, StageQueued, nil
	in.Endpoint, in.Identity = "", ""
	in.Generation++
}
