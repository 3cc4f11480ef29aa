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
	read, err := s.ReadBundle(ctx, pending, pending.Size())
	if err != nil {
		return nil, nil, err
	}
	manifest := read.Manifest
	if mode := manifest.Runtime.AppMode; manifest.Lifecycle != Link && (mode == Container || mode == Manual) {
		if err := s.Allow(actor, ImportContainer); err != nil {
			return nil, nil, err
		}
	}
	icon, err := s.pendingIcon(ctx, read.Icon)
	if err != nil {
		return nil, nil, err
	}
	if icon != nil {
		defer icon.Discard() //nolint:errcheck // as of the bundle
	}
	app := s.newApp(actor, manifest, v)
	left, err := s.keepApp(ctx, actor, app, pending, icon)
	if err != nil {
		return nil, nil, err
	}
	return app, append(read.Warnings, left...), nil
}

// keepApp makes bundle, icon and record visible, or none of them. Icon is nil
// where there is none.
func (s *Service) keepApp(ctx context.Context, actor Actor, app *App, bundle, icon PendingBlob) (warnings []Fault, err error) {
	warnings, err = s.commitApp(ctx, actor, app, bundle, icon)
	if err == nil {
		// What stays unkept by mistake is looked at again by Sweep.
		for _, digest := range app.blobs() {
			_ = s.Blobs.Keep(ctx, digest)
		}
		return warnings, nil
	}
	if CodeOf(err) != CodeUnavailable {
		// They are this import's no more; Drop asks who else has them.
		_ = bundle.Discard()
		if icon != nil {
			_ = icon.Discard()
		}
		s.dropBlobs(ctx, app)
	} // else the record may have been written all the same: Sweep looks
	return nil, err
}

func (s *Service) commitApp(ctx context.Context, actor Actor, app *App, bundle, icon PendingBlob) (warnings []Fault, err error) {
	s.bundles.Lock()
	defer s.bundles.Unlock()
	if app.Bundle, err = bundle.Commit(); err != nil {
		return nil, fmt.Errorf("keep bundle: %w", err)
	}
	if icon != nil {
		if app.Icon, err = icon.Commit(); err != nil {
			return nil, fmt.Errorf("keep icon: %w", err)
		}
	}
	_, err = s.Store.Update(ctx, func(tx Tx) (err error) {
		warnings, err = s.insertApp(tx, actor, app)
		return err
	})
	return warnings, err
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
