package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane/failpoint"
)

// ReadBundle is what an import takes from an archive.
type ReadBundle struct {
	Manifest Manifest
	Warnings []Fault
	// Show makes what of the app people see, and hands it to keep, part by part,
	// while the archive is there to be read from. What cannot be made is a
	// warning; an error ends the import. Nil: there is nothing.
	Show func(ctx context.Context, keep func(Part) error) ([]Fault, error)
}

// checksAtOnce is how many archives are checked at a time.
const checksAtOnce = 2

// Import is what an app is given at its import, beside what its bundle says.
type Import struct {
	Visibility    Visibility // empty is PRIVATE
	Image         string     // of a container app, in place of the manifest's; the admins' to give
	LaunchProfile string     // see App.LaunchProfile
}

// ImportApp is ImportAppAs with nothing but a visibility.
func (s *Service) ImportApp(ctx context.Context, actor Actor, archive io.Reader, v Visibility) (*App, []Fault, error) {
	return s.ImportAppAs(ctx, actor, archive, Import{Visibility: v})
}

// ImportAppAs reads an archive to its end, checks it and makes an app of it, all
// or nothing. The warnings are for whoever imported it.
func (s *Service) ImportAppAs(ctx context.Context, actor Actor, archive io.Reader, as Import) (*App, []Fault, error) {
	if err := s.mayImport(actor, as); err != nil {
		return nil, nil, err
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
	failpoint.Here("import-uploaded")
	read, parts, err := s.readBundle(ctx, actor, pending)
	parts = append([]pendingPart{{pending, func(app *App, digest string) { app.Bundle = digest }}}, parts...)
	defer discard(parts[1:])
	if err != nil {
		return nil, nil, err
	}
	failpoint.Here("import-checked")
	app, err := s.newApp(actor, read.Manifest, as)
	if err != nil {
		return nil, nil, err
	}
	left, err := s.keepApp(ctx, actor, app, parts)
	if err != nil {
		return nil, nil, err
	}
	return app, append(read.Warnings, left...), nil
}

// readBundle checks an archive, and makes blobs of what is shown of the app. Few
// do so at a time: each takes memory for the archive's directory, and for one
// picture.
func (s *Service) readBundle(ctx context.Context, actor Actor, archive PendingBlob) (read ReadBundle, parts []pendingPart, err error) {
	select {
	case s.checks <- struct{}{}:
		defer func() { <-s.checks }()
	case <-ctx.Done():
		return read, nil, Errorf(CodeTimeout, "the caller left while other bundles were checked")
	}
	if read, err = s.ReadBundle(ctx, archive, archive.Size()); err != nil {
		return read, nil, err
	}
	manifest := read.Manifest
	if mode := manifest.Runtime.AppMode; manifest.Lifecycle != Link && (mode == Container || mode == Manual) {
		if err := s.Allow(actor, ImportContainer); err != nil {
			return read, nil, err
		}
	}
	parts, warnings, err := s.keepParts(ctx, read)
	read.Warnings = append(read.Warnings, warnings...)
	return read, parts, err
}

// discard ends blobs; of what was committed and is not kept, Drop decides.
func discard(parts []pendingPart) {
	for _, p := range parts {
		_ = p.Discard() // best effort: what is left is removed at the next start
	}
}

// keepApp makes the bundle, what is shown of the app, and the record visible, or
// none of them.
func (s *Service) keepApp(ctx context.Context, actor Actor, app *App, parts []pendingPart) (warnings []Fault, err error) {
	warnings, err = s.commitApp(ctx, actor, app, parts)
	if err == nil {
		failpoint.Here("import-recorded")
		// What stays unkept by mistake is looked at again by Sweep.
		for _, digest := range app.blobs() {
			_ = s.Blobs.Keep(ctx, digest)
		}
		failpoint.Here("import-kept")
		return warnings, nil
	}
	if CodeOf(err) != CodeUnavailable {
		// They are this import's no more; Drop asks who else has them.
		discard(parts)
		s.dropBlobs(ctx, app)
	} // else the record may have been written all the same: Sweep looks
	return nil, err
}

func (s *Service) commitApp(ctx context.Context, actor Actor, app *App, parts []pendingPart) (warnings []Fault, err error) {
	s.bundles.Lock()
	defer s.bundles.Unlock()
	for i, p := range parts {
		digest, err := p.Commit()
		if err != nil {
			return nil, fmt.Errorf("keep bundle: %w", err)
		}
		if p.note(app, digest); i == 0 {
			failpoint.Here("import-bundle-kept")
		}
	}
	failpoint.Here("import-unrecorded")
	_, err = s.Store.Update(ctx, func(tx Tx) (err error) {
		warnings, err = s.insertApp(tx, actor, app)
		return err
	})
	return warnings, err
}

// mayImport refuses what can be told before the bundle has come.
func (s *Service) mayImport(actor Actor, as Import) error {
	if err := s.Allow(actor, ImportApp); err != nil {
		return err
	}
	if as.Visibility != "" && !as.Visibility.Valid() {
		return invalidVisibility(as.Visibility)
	}
	if as.Image != "" {
		if err := s.allow(actor, SetImage, &Resource{Owner: actor.User}, signIn()); err != nil {
			return err
		}
	}
	return s.checkProfile(as.LaunchProfile)
}

func (s *Service) newApp(actor Actor, m Manifest, as Import) (*App, error) {
	now := s.now()
	app := &App{
		ID: uuid.NewString(), Name: m.Name, Version: m.Version, Title: m.Title, Description: m.Description,
		Owner: actor.User, Visibility: cmp.Or(as.Visibility, Private), Tags: []string{}, Lifecycle: m.Lifecycle,
		RoutingMode: cmp.Or(m.Runtime.RoutingMode, s.RoutingMode),
		AppMode:     m.Runtime.AppMode, Link: m.LinkAddress, Manifest: m, CreatedAt: now, UpdatedAt: now,
	}
	if runtime, ok := s.Offers.Runtime(app); ok {
		app.RuntimeVersion = runtime.Name
	}
	change := AppChange{}
	if as.Image != "" {
		change.Image = &as.Image
	}
	if as.LaunchProfile != "" {
		change.LaunchProfile = &as.LaunchProfile
	}
	_, err := s.setImage(nil, actor, app, change)
	if err == nil {
		_, err = s.setProfile(nil, actor, app, change)
	}
	return app, err
}

func (s *Service) insertApp(tx Tx, actor Actor, app *App) (warnings []Fault, err error) {
	// Whose name it is comes first: others learn nothing of its versions.
	owner, err := tx.NameOwner(app.Name)
	if err != nil {
		return nil, err
	}
	if owner != "" && owner != actor.User && !s.unbound(actor) {
		return nil, forAdmins(actor, Errorf(CodeForbidden, "the app name %s belongs to somebody else", app.Name).
			WithHint("choose another App.Name in app.toml, or ask an admin to import it"))
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
	if err := s.setUnmet(tx, app); err != nil {
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
