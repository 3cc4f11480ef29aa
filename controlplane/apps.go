package controlplane

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// App finds an app by its ID or a unique prefix of it.
func (s *Service) App(ctx context.Context, actor Actor, id string) (*App, error) {
	v, err := s.appViewer(ctx, actor)
	if err != nil {
		return nil, err
	}
	return find(ctx, actor, v.apps(), id)
}

// AppChange is what of an app is to be changed; nil is to stay.
type AppChange struct {
	Visibility *Visibility
	Tags       *[]string // all that it is to have
	Image      *string   // of a container app
	// LaunchProfile is for instances that are started without one; empty: none.
	LaunchProfile *string
}

// UpdateApp changes an app.
func (s *Service) UpdateApp(ctx context.Context, actor Actor, id string, c AppChange) (*App, error) {
	found, err := s.App(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	var app *App
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		// Who only gives tags needs the tags' own rights, see setTags.
		need := UpdateApp
		if c.Visibility == nil && c.Image == nil && c.LaunchProfile == nil && c.Tags != nil {
			need = SeeApp
		}
		if app, err = s.appFor(tx, actor, need, found.ID); err != nil {
			return err
		}
		if err := unchanged(ctx, app.Revision); err != nil {
			return err
		}
		var changed []string
		for _, set := range []func(Tx, Actor, *App, AppChange) (string, error){s.setVisibility, s.setTags, s.setImage, s.setProfile} {
			detail, err := set(tx, actor, app, c)
			if err != nil {
				return err
			}
			if detail != "" {
				changed = append(changed, detail)
			}
		}
		if len(changed) == 0 {
			return nil
		}
		app.UpdatedAt = s.now()
		if err := s.setUnmet(tx, app); err != nil {
			return err
		}
		s.audit(tx, actor, "app.update", "app/"+app.ID, details(changed...))
		return tx.Put(app)
	})
	return app, err
}

func (s *Service) setVisibility(_ Tx, _ Actor, app *App, c AppChange) (detail string, err error) {
	if c.Visibility == nil || *c.Visibility == app.Visibility {
		return "", nil
	}
	if !c.Visibility.Valid() {
		return "", invalidVisibility(*c.Visibility)
	}
	detail = change("visibility", app.Visibility, *c.Visibility)
	app.Visibility = *c.Visibility
	return detail, nil
}

// imageName is a reference as launchers take it: it never looks like an option
// or holds space.
var imageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,511}$`)

func (s *Service) setImage(_ Tx, actor Actor, app *App, c AppChange) (detail string, err error) {
	if c.Image == nil {
		return "", nil
	}
	if err := s.allow(actor, SetImage, ResourceOfApp(app, nil), noSuch(actor, "app", app.ID)); err != nil {
		return "", err
	}
	if app.AppMode != Container || app.Lifecycle == Link {
		return "", Errorf(CodeUnprocessable, "app %s has no image: its mode is %s", app.Label(), app.AppMode).
			WithHint("only apps of mode container have one")
	}
	if !imageName.MatchString(*c.Image) {
		return "", Errorf(CodeInvalid, "%q is not the name of an image", *c.Image).WithHint("for example registry.example.com/team/app:1.2")
	}
	if old := app.Manifest.Runtime.CustomImage; old != *c.Image {
		detail = change("image", old, *c.Image)
		app.Manifest.Runtime.CustomImage = *c.Image
	}
	return detail, nil
}

// DeleteApp deletes an app that has no instances. With force, an admin's
// right, its instances are terminated first; the app goes when they are gone,
// so that the caller repeats the call until it answers without a conflict.
func (s *Service) DeleteApp(ctx context.Context, actor Actor, id string, force bool) (revision int64, err error) {
	found, err := s.App(ctx, actor, id)
	if err != nil {
		return 0, err
	}
	var app *App
	revision, err = s.Store.Update(ctx, func(tx Tx) error {
		if app, err = s.appFor(tx, actor, DeleteApp, found.ID); err != nil {
			return err
		}
		if err := unchanged(ctx, app.Revision); err != nil {
			return err
		}
		instances, err := tx.InstancesOf(app.ID)
		if err != nil {
			return err
		}
		if len(instances) > 0 {
			return &hasInstances{app: app, ids: instances}
		}
		s.audit(tx, actor, "app.delete", "app/"+app.ID, app.Name+" "+app.Version)
		return tx.Delete(app)
	})
	if busy, ok := errors.AsType[*hasInstances](err); ok {
		return 0, s.refuseDelete(ctx, actor, busy, force)
	}
	if err != nil {
		return 0, err
	}
	s.dropBlobs(ctx, app)
	return revision, nil
}

// hasInstances is why a delete did not happen.
type hasInstances struct {
	app *App
	ids []string
}

func (e *hasInstances) Error() string { return fmt.Sprintf("app has %d instances", len(e.ids)) }

func (s *Service) refuseDelete(ctx context.Context, actor Actor, busy *hasInstances, force bool) error {
	has := "an instance"
	if len(busy.ids) > 1 {
		has = fmt.Sprintf("%d instances", len(busy.ids))
	}
	refused := Errorf(CodeConflict, "app %s has %s", busy.app.Label(), has)
	if !force {
		return refused.WithHint("terminate them first: slipway instance terminate %s", busy.ids[0])
	}
	if !s.unbound(actor) {
		return forAdmins(actor, Errorf(CodeForbidden, "only admins delete an app with its instances").WithHint("terminate the instances first"))
	}
	for _, id := range busy.ids {
		if _, err := s.TerminateInstance(unconditional(ctx), actor, id); err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
	}
	return refused.WithHint("they are being terminated; delete it again in a moment")
}

func invalidVisibility(v Visibility) error {
	return Errorf(CodeInvalid, "visibility %q does not exist", v).WithHint("use PRIVATE, ALL_USERS or PUBLIC")
}
