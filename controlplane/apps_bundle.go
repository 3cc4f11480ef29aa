package controlplane

import (
	"context"
	"errors"
	"fmt"
)

// Sweep finishes the imports that a killed control plane left half-way: their
// bundles go, unless the record was written. Imports that are under way go on.
func (s *Service) Sweep(ctx context.Context) error {
	digests, err := s.Blobs.Unkept(ctx)
	for _, digest := range digests {
		err = errors.Join(err, s.dropBundle(ctx, digest))
	}
	return err
}

// dropBundle removes a bundle that no app refers to, and that nobody imports:
// the same bytes may be another app's, or about to be.
func (s *Service) dropBundle(ctx context.Context, digest string) error {
	s.bundles.Lock()
	defer s.bundles.Unlock()
	return s.Blobs.Drop(ctx, digest, func(ctx context.Context) (bool, error) { return s.bundleUsed(ctx, digest) })
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
