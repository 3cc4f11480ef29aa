package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// ImportApp reads an archive to its end, checks it and makes an app of it, all
// or nothing. The warnings are for whoever imported it.
func (s *Service) ImportApp(ctx context.Context, actor Actor, archive io.Reader, v Visibility) (*App, []Fault, error) {
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
	if err := mayImport(actor, &manifest); err != nil {
		return nil, nil, err
	}
	app := s.newApp(actor, manifest, v)
	if err := s.keepApp(ctx, actor, app, pending); err != nil {
		return nil, nil, err
	}
	return app, warnings, nil
}

// keepApp makes bundle and record visible, or neither.
func (s *Service) keepApp(ctx context.Context, actor Actor, app *App, bundle PendingBlob) (err error) {
	// An import or deletion of the same bytes must not take the bundle away
	// between blob and record.
	s.bundles.Lock()
	defer s.bundles.Unlock()
	if app.Bundle, err = bundle.Commit(); err != nil {
		return fmt.Errorf("keep bundle: %w", err)
	}
	if _, err := s.Store.Update(ctx, func(tx Tx) error { return insertApp(tx, actor, app) }); err != nil {
		if CodeOf(err) != CodeUnavailable {
			s.dropBundle(ctx, app.Bundle)
		} // else the record may have been written all the same: Sweep looks
		return err
	}
	// What stays unkept by mistake is looked at again by Sweep.
	_ = s.Blobs.Keep(ctx, app.Bundle)
	return nil
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
	tags := m.Tags
	if tags == nil {
		tags = []string{}
	}
	return &App{
		ID: uuid.NewString(), Name: m.Name, Version: m.Version, Title: m.Title, Description: m.Description,
		Owner: actor.User, Visibility: v, Tags: tags, Lifecycle: m.Lifecycle, RoutingMode: mode,
		AppMode: m.Runtime.AppMode, Link: m.LinkAddress, Manifest: m, CreatedAt: now, UpdatedAt: now,
	}
}

// mayImport holds what spec access.md §2 and apps.md §2 leave to admins.
func mayImport(actor Actor, m *Manifest) error {
	mode := m.Runtime.AppMode
	if !actor.Admin && m.Lifecycle != Link && (mode == Container || mode == Manual) {
		return Errorf(CodeForbidden, "apps of mode %s are imported by admins", mode).
			WithHint("ask an admin to run: slipway admin app import FILE")
	}
	return nil
}

func insertApp(tx Tx, actor Actor, app *App) error {
	existing, err := tx.AppByName(app.Name, app.Version)
	if err != nil {
		return err
	}
	if existing != "" {
		return Errorf(CodeConflict, "app %s %s exists already, with ID %s", app.Name, app.Version, existing).
			WithHint("apps are immutable: give App.Version in app.toml a new value")
	}
	owner, err := tx.NameOwner(app.Name)
	if err != nil {
		return err
	}
	if owner != "" && owner != actor.User && !actor.Admin {
		return Errorf(CodeForbidden, "the app name %s belongs to somebody else", app.Name).
			WithHint("choose another App.Name in app.toml, or ask an admin to import it")
	}
	return tx.Put(app)
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
func (s *Service) App(ctx context.Context, _ Actor, id string) (*App, error) {
	id, err := s.resolveApp(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.Store.App(ctx, id)
}

// Apps lists the apps.
func (s *Service) Apps(ctx context.Context, _ Actor, p Page) (List[*App], error) {
	return s.Store.Apps(ctx, p)
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
	if id, err = s.resolveApp(ctx, id); err != nil {
		return 0, err
	}
	s.bundles.Lock()
	defer s.bundles.Unlock()
	var app *App
	revision, err = s.Store.Update(ctx, func(tx Tx) error {
		if app, err = tx.App(id); err != nil {
			return err
		}
		if err := owns(actor, app.Owner, "app", id); err != nil {
			return err
		}
		instances, err := tx.InstancesOf(id)
		if err != nil {
			return err
		}
		if len(instances) > 0 {
			return &hasInstances{app: app, ids: instances}
		}
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
	if !actor.Admin {
		return Errorf(CodeForbidden, "only admins delete an app with its instances").WithHint("terminate the instances first")
	}
	for _, id := range busy.ids {
		if _, err := s.TerminateInstance(ctx, actor, id); err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
	}
	return refused.WithHint("they are being terminated; delete it again in a moment")
}

// owns holds the rule that a thing is its owner's and the admins' to change.
func owns(actor Actor, owner, kind, id string) error {
	if actor.Admin || (actor.User != "" && actor.User == owner) {
		return nil
	}
	return Errorf(CodeForbidden, "%s %s belongs to somebody else", kind, id)
}

func invalidVisibility(v Visibility) error {
	return Errorf(CodeInvalid, "visibility %q does not exist", v).WithHint("use PRIVATE, ALL_USERS or PUBLIC")
}
