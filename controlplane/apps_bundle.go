package controlplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Sweep finishes the imports that a killed control plane left half-way: what they
// kept goes, unless the record was written. Imports that are under way go on.
func (s *Service) Sweep(ctx context.Context) error {
	digests, err := s.Blobs.Unkept(ctx)
	for _, digest := range digests {
		err = errors.Join(err, s.dropBlob(ctx, digest))
	}
	return err
}

// dropBlobs removes the bundle of an app, and what is shown of one, that is gone, or that did
// not come to be. What stays by mistake is looked at again by Sweep.
func (s *Service) dropBlobs(ctx context.Context, of *App) {
	ctx = context.WithoutCancel(ctx)
	for _, digest := range of.blobs() {
		_ = s.dropBlob(ctx, digest)
	}
}

// dropBlob removes a blob that no app refers to, and that nobody imports: the
// same bytes may be another app's, or about to be.
func (s *Service) dropBlob(ctx context.Context, digest string) error {
	s.bundles.Lock()
	defer s.bundles.Unlock()
	return s.Blobs.Drop(ctx, digest, func(ctx context.Context) (bool, error) { return s.blobUsed(ctx, digest) })
}

// blobs are the digests of what an app has in Blobs.
func (a *App) blobs() []string {
	all := []string{a.Bundle, a.Icon, a.LongDescription}
	for _, p := range a.Screenshots {
		all = append(all, p.Digest)
	}
	return slices.DeleteFunc(all, func(digest string) bool { return digest == "" })
}

func (s *Service) blobUsed(ctx context.Context, digest string) (bool, error) {
	for page := (Page{Limit: 1000}); ; {
		apps, err := s.Store.Apps(ctx, page)
		if err != nil {
			return true, err
		}
		for _, a := range apps.Items {
			if slices.Contains(a.blobs(), digest) {
				return true, nil
			}
		}
		if apps.NextAfter == "" {
			return false, nil
		}
		page.After, page.Revision = apps.NextAfter, apps.Revision
	}
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
