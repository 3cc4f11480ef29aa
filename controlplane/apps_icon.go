package controlplane

import (
	"context"
	"fmt"
	"io"
)

// MaxIcon is the size of the largest icon, in bytes. It has its place in the
// waiting page, which has 14 kB.
const MaxIcon = 8 << 10

// ReadBundle is what an import takes from an archive.
type ReadBundle struct {
	Manifest Manifest
	Warnings []Fault
	Icon     []byte // a PNG of MaxIcon at most; nil: it has none that can be used
}

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
	blob, err := s.Blobs.Open(ctx, app.Icon)
	if CodeOf(err) == CodeNotFound {
		return nil, absent // the app has just been deleted
	}
	if err != nil {
		return nil, fmt.Errorf("open icon of app %s: %w", app.ID, err)
	}
	defer blob.Close()
	raw, err := io.ReadAll(io.NewSectionReader(blob, 0, min(blob.Size(), MaxIcon)))
	if err != nil {
		return nil, fmt.Errorf("read icon of app %s: %w", app.ID, err)
	}
	return raw, nil
}

// pendingIcon is the icon as a blob that nobody sees yet; nil where there is
// none.
func (s *Service) pendingIcon(ctx context.Context, icon []byte) (PendingBlob, error) {
	if icon == nil {
		return nil, nil
	}
	pending, err := s.Blobs.Create(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep icon: %w", err)
	}
	if _, err := pending.Write(icon); err != nil {
		_ = pending.Discard() // best effort: what is left is removed at the next start
		return nil, fmt.Errorf("keep icon: %w", err)
	}
	return pending, nil
}
