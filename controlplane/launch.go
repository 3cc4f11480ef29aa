package controlplane

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// RuntimeVersions lists what apps can run on.
func (s *Service) RuntimeVersions(actor Actor) ([]RuntimeVersion, error) {
	if err := s.Allow(actor, SeeOffers); err != nil {
		return nil, err
	}
	return s.Offers.Runtimes(), nil
}

// LaunchProfiles lists the launch profiles.
func (s *Service) LaunchProfiles(actor Actor) ([]LaunchProfile, error) {
	if err := s.Allow(actor, SeeOffers); err != nil {
		return nil, err
	}
	return s.Offers.Profiles(), nil
}

// checkProfile refuses a launch profile that there is not; empty is none.
func (s *Service) checkProfile(name string) error {
	profiles := s.Offers.Profiles()
	if name == "" || slices.ContainsFunc(profiles, func(p LaunchProfile) bool { return p.Name == name }) {
		return nil
	}
	refused := Errorf(CodeInvalid, "there is no launch profile %q", name)
	if len(profiles) == 0 {
		return refused.WithHint("none are configured: leave it out")
	}
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return refused.WithHint("one of %s", strings.Join(names, ", "))
}

// settle gives an instance what the settings say now: the resources of its
// launch profile, and the runtime of its app.
func (s *Service) settle(in *Instance, app *App) {
	resources := s.Offers.Resources(app, in.LaunchProfile)
	in.Resources, in.Runtime = &resources, nil
	in.Settled = cmp.Or(in.LaunchProfile, app.LaunchProfile)
	if runtime, ok := s.Offers.Runtime(app); ok {
		in.Runtime = &runtime
	}
	in.Timeout = app.Manifest.InstanceTimeout
}

// setProfile gives an app a launch profile of its own, for instances that are
// started without one.
func (s *Service) setProfile(_ Tx, _ Actor, app *App, c AppChange) (detail string, err error) {
	if c.LaunchProfile == nil || *c.LaunchProfile == app.LaunchProfile {
		return "", nil
	}
	if app.Lifecycle == Link {
		return "", Errorf(CodeUnprocessable, "app %s is a link and starts nothing", app.Label())
	}
	if err := s.checkProfile(*c.LaunchProfile); err != nil {
		return "", err
	}
	detail = change("launch profile", app.LaunchProfile, *c.LaunchProfile)
	app.LaunchProfile = *c.LaunchProfile
	return detail, nil
}

// RedeployInstance has an instance take what the settings and its app say now:
// runtime, resources, time-out. It is for admins. What runs is started anew,
// and what sleeps takes it when it wakes; the volumes stay, and so does the app:
// a new version of that is another app.
func (s *Service) RedeployInstance(ctx context.Context, actor Actor, id string) (*Instance, error) {
	return s.change(ctx, actor, id, "redeploy", func(tx Tx, in *Instance) (string, error) {
		if !s.unbound(actor) {
			return "", forAdmins(actor, Errorf(CodeForbidden, "instances are redeployed by admins").WithHint("ask an admin; slipway instance restart %s starts it anew as it is", in.ID))
		}
		app, err := tx.App(in.AppID)
		if err != nil {
			return "", err
		}
		if err := s.runnable(tx, actor, app); err != nil {
			return "", err
		}
		if s.checkProfile(in.LaunchProfile) != nil {
			in.LaunchProfile = "" // it is offered no more
		}
		s.settle(in, app)
		detail := "app/" + app.ID
		if in.Status == Suspended || in.Status == Suspending || in.Status == Failed {
			return detail, nil
		}
		started, err := s.startAnew(tx, actor, in, BegunRestart)
		return details(detail, started), err
	})
}
