package controlplane

import (
	"context"
	"fmt"
	"io"
)

// AppIcon is the icon of an app, a PNG, for edges that know its digest from the
// app's policy. Whoever knows that has seen the icon, so nobody is asked for.
func (s *Service) AppIcon(ctx context.Context, id, digest string) ([]byte, error) {
	absent := Errorf(CodeNotFound, "no such icon")
	app, err := s.Store.App(ctx, id)
	if CodeOf(err) == CodeNotFound || err == nil && (app.Icon == "" || app.Icon != digest) {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	blob, err := s.openPart(ctx, app, app.Icon, absent)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	raw, err := io.ReadAll(io.NewSectionReader(blob, 0, min(blob.Size(), MaxIcon)))
	if err != nil {
		return nil, fmt.Errorf("read icon of app %s: %w", app.ID, err)
	}
	return raw, nil
}
