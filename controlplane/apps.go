package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/google/uuid"
)

// ImportApp reads an archive to its end, checks it and makes an app of it, all
// or nothing. The warnings are for whoever imported it.
func (s *Service) ImportApp(ctx context.Context, actor Actor, archive io.Reader, v Visibility) (*App, []Fault, error) {
	if err := s.Allow(actor, ImportApp); err != nil {
		return nil, nil, err
	}
	if v == "" {
		v = Private
	}
	if !v.Valid() {
		return nil, nil, invalidVisibility(v)
	}
	pending, err := s.Blobs.Create(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("import bundle: %w", err)
	}
	defer pending.Discard() //nolint:errcheck // best effort: what is left is removed at the next start
	// One byte more than the limit tells a bundle that is too large.
	n, err := io.Copy(pending, io.LimitReader(archive, s.MaxUpload+1))
	if _, ours := errors.AsType[*Error](err); ours {
		return nil, nil, fmt.Errorf("keep bundle: %w", err)
	}
	if err != nil {
		return nil, nil, Errorf(CodeInvalid, "the upload broke off after %d bytes", n).WithHint("send it again; nothing was kept")
	}
	if n > s.MaxUpload {
		return nil, nil, Errorf(CodeTooLarge, "the bundle is larger than %d bytes", s.MaxUpload).
			WithHint("leave out what the app does not need with .appignore; the limit is the setting max_upload")
	}
	manifest, warnings, err := s.ReadBundle(ctx, pending, pending.Size())
	if err != nil {
		return nil, nil, err
	}
	if mode := manifest.Runtime.AppMode; manifest.Lifecycle != Link && (mode == Container || mode == Manual) {
		if err := s.Allow(actor, ImportContainer); err != nil {
			return nil, nil, err
		}
	}
	app := s.newApp(actor, manifest, v)
	left, err := s.keepApp(ctx, actor, app, pending)
	if err != nil {
		return nil, nil, err
	}
	return app, append(warnings, left...), nil
}

// keepApp makes bundle and record visible, or neither.
func (s *Service) keepApp(ctx context.Context, actor Actor, app *App, bundle PendingBlob) (warnings []Fault, err error) {
	// An import or deletion of the same bytes must not take the bundle away
	// between blob and record.
	s.bundles.Lock()
	defer s.bundles.Unlock()
	if app.Bundle, err = bundle.Commit(); err != nil {
		return nil, fmt.Errorf("keep bundle: %w", err)
	}
	_, err = s.Store.Update(ctx, func(tx Tx) (err error) {
		warnings, err = s.insertApp(tx, actor, app)
		return err
	})
	if err != nil {
		if CodeOf(err) != CodeUnavailable {
			s.dropBundle(ctx, app.Bundle)
		} // else the record may have been written all the same: Sweep looks
		return nil, err
	}
	// What stays unkept by mistake is looked at again by Sweep.
	_ = s.Blobs.Keep(ctx, app.Bundle)
	return warnings, nil
}

// Sweep finishes the imports that a killed control plane left half-way: their
// bundles go, unless the record was written. It is called before the first
// import.
func (s *Service) Sweep(ctx context.Context) error {
	digests, err := s.Blobs.Unkept(ctx)
	for _, digest := range digests {
		used, usedErr := s.bundleUsed(ctx, digest)
		switch {
		case usedErr != nil:
			err = errors.Join(err, usedErr)
		case used:
			err = errors.Join(err, s.Blobs.Keep(ctx, digest))
		default:
			err = errors.Join(err, s.Blobs.Delete(ctx, digest))
		}
	}
	return err
}

func (s *Service) newApp(actor Actor, m Manifest, v Visibility) *App {
	now := s.now()
	mode := m.Runtime.RoutingMode
	if mode == "" {
		mode = s.RoutingMode
	}
	return &App{
		ID: uuid.NewString(), Name: m.Name, Version: m.Version, Title: m.Title, Description: m.Description,
		Owner: actor.User, Visibility: v, Tags: []string{}, Lifecycle: m.Lifecycle, RoutingMode: mode,
		AppMode: m.Runtime.AppMode, Link: m.LinkAddress, Manifest: m, CreatedAt: now, UpdatedAt: now,
	}
}

func (s *Service) insertApp(tx Tx, actor Actor, app *App) (warnings []Fault, err error) {
	// Whose name it is comes first: others learn nothing of its versions.
	owner, err := tx.NameOwner(app.Name)
	if err != nil {
		return nil, err
	}
	if owner != "" && owner != actor.User && !s.unbound(actor) {
		return nil, Errorf(CodeForbidden, "the app name %s belongs to somebody else", app.Name).
			WithHint("choose another App.Name in app.toml, or ask an admin to import it")
	}
	existing, err := tx.AppByName(app.Name, app.Version)
	if err != nil {
		return nil, err
	}
	if existing != "" {
		return nil, s.existsAlready(tx, actor, app, existing)
	}
	if err := s.oneMoreVersion(tx, actor); err != nil {
		return nil, err
	}
	if warnings, err = s.manifestTags(tx, actor, app); err != nil {
		return nil, err
	}
	s.audit(tx, actor, "app.import", "app/"+app.ID, app.Name+" "+app.Version+", "+string(app.Visibility))
	return warnings, tx.Put(app)
}

// existsAlready names the other app to whom may see it: it may be an admin's.
func (s *Service) existsAlready(tx Tx, actor Actor, app *App, existing string) error {
	which := ""
	if _, err := s.appFor(tx, actor, SeeApp, existing); err == nil {
		which = ", with ID " + existing
	}
	return Errorf(CodeConflict, "app %s %s exists already%s", app.Name, app.Version, which).
		WithHint("apps are immutable: give App.Version in app.toml a new value")
}

// dropBundle removes a bundle that no app refers to: the same bytes may be
// another app's.
func (s *Service) dropBundle(ctx context.Context, digest string) {
	ctx = context.WithoutCancel(ctx)
	used, err := s.bundleUsed(ctx, digest)
	if err == nil && !used {
		_ = s.Blobs.Delete(ctx, digest)
	}
}

func (s *Service) bundleUsed(ctx context.Context, digest string) (bool, error) {
	for page := (Page{Limit: 1000}); ; {
		apps, err := s.Store.Apps(ctx, page)
		if err != nil {
			return true, err
		}
		for _, a := range apps.Items {
			if a.Bundle == digest {
				return true, nil
			}
		}
		if apps.NextAfter == "" {
			return false, nil
		}
		page.After, page.Revision = apps.NextAfter, apps.Revision
	}
}

// App finds an app by its ID or a unique prefix of it.
func (s *Service) App(ctx context.Context, actor Actor, id string) (*App, error) {
	v, err := s.viewer(ctx, actor)
	if err != nil {
		return nil, err
	}
	return find(ctx, actor, v.apps(), id)
}

// Apps lists the apps that the actor may see.
func (s *Service) Apps(ctx context.Context, actor Actor, p Page) (out List[*App], err error) {
	if err := s.mayList(actor, SeeApp); err != nil {
		return out, err
	}
	v, err := s.viewer(ctx, actor)
	if err != nil {
		return out, err
	}
	return visible(ctx, v.apps(), p)
}

// AppChange is what of an app is to be changed; nil is to stay.
type AppChange struct {
	Visibility *Visibility
	Tags       *[]string // all that it is to have
	Image      *string   // of a container app
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
		if c.Visibility == nil && c.Image == nil && c.Tags != nil {
			need = SeeApp
		}
		if app, err = s.appFor(tx, actor, need, found.ID); err != nil {
			return err
		}
		var changed []string
		for _, set := range []func(Tx, Actor, *App, AppChange) (string, error){s.setVisibility, s.setTags, s.setImage} {
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

// OpenBundle opens the archive that an app was imported from.
func (s *Service) OpenBundle(ctx context.Context, actor Actor, id string) (*App, Blob, error) {
	app, err := s.App(ctx, actor, id)
	if err != nil {
		return nil, nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		app, err = s.appFor(tx, actor, DownloadApp, app.ID)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	blob, err := s.Blobs.Open(ctx, app.Bundle)
	if err != nil {
		return nil, nil, fmt.Errorf("open bundle of app %s: %w", app.ID, err)
	}
	return app, blob, nil
}

// Reasons says why the app cannot be run now; nothing means that it can.
func (s *Service) Reasons(app *App) []Reason {
	if app.Lifecycle == Link {
		return nil
	}
	var reasons []Reason
	for _, e := range app.Manifest.Env {
		if e.Secret != "" && !e.Optional {
			reasons = append(reasons, missingSecret("Env "+e.Name, e.Secret))
		}
	}
	for _, f := range app.Manifest.Files {
		if f.Secret != "" && !f.Optional {
			reasons = append(reasons, missingSecret("File "+f.Path, f.Secret))
		}
	}
	if app.Manifest.Runtime.GPUCount > 0 {
		reasons = append(reasons, Reason{NoCapacity, "no launcher offers a GPU; take GPUCount out of app.toml"})
	}
	return append(reasons, s.Launchers.Check(app)...)
}

func missingSecret(where, secret string) Reason {
	return Reason{MissingSecret, fmt.Sprintf("%s needs the secret %q, and there is no such secret; give a Value in app.toml or set Optional", where, secret)}
}

// DeleteApp deletes an app that has no instances. With force, an admin's
// right, its instances are terminated first; the app goes when they are gone,
// so that the caller repeats the call until it answers without a conflict.
func (s *Service) DeleteApp(ctx context.Context, actor Actor, id string, force bool) (revision int64, err error) {
	found, err := s.App(ctx, actor, id)
	if err != nil {
		return 0, err
	}
	s.bundles.Lock()
	defer s.bundles.Unlock()
	var app *App
	revision, err = s.Store.Update(ctx, func(tx Tx) error {
		if app, err = s.appFor(tx, actor, DeleteApp, found.ID); err != nil {
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
	s.dropBundle(ctx, app.Bundle)
	return revision, nil
}

// hasInstances is why a delete did not happen.
type hasInstances struct {
	app *App
	ids []string
}

func (e *hasInstances) Error() string { return fmt.Sprintf("app has %d instances", len(e.ids)) }

func (s *Service) refuseDelete(ctx context.Context, actor Actor, busy *hasInstances, force bool) error {
	refused := Errorf(CodeConflict, "app %s has %d instances", busy.app.Label(), len(busy.ids))
	if !force {
		return refused.WithHint("terminate them first: slipway instance terminate %s", busy.ids[0])
	}
	if !s.unbound(actor) {
		return Errorf(CodeForbidden, "only admins delete an app with its instances").WithHint("terminate the instances first")
	}
	for _, id := range busy.ids {
		if _, err := s.TerminateInstance(ctx, actor, id); err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
	}
	return refused.WithHint("they are being terminated; delete it again in a moment")
}

func invalidVisibility(v Visibility) error {
	return Errorf(CodeInvalid, "visibility %q does not exist", v).WithHint("use PRIVATE, ALL_USERS or PUBLIC")
}
