package controlplane

import (
	"context"
	"fmt"
)

// BundleMeta is what a bundle says of itself.
type BundleMeta struct {
	App          string  // app.toml, or q-app.toml, as it is written
	Requirements *string // requirements.txt; nil: there is none
	Packages     *string // packages.txt likewise
	Files        []BundleFile
}

// BundleFile is a file of a bundle.
type BundleFile struct {
	Path string // below the folder of app.toml
	Size int64  // bytes, unpacked
}

// AppMeta reads what the bundle of an app says of itself. It is for who may
// download it.
func (s *Service) AppMeta(ctx context.Context, actor Actor, id string) (*BundleMeta, error) {
	app, blob, err := s.OpenBundle(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	meta, err := s.ReadMeta(blob, blob.Size())
	if err != nil {
		return nil, fmt.Errorf("read bundle of app %s: %w", app.ID, err)
	}
	return meta, nil
}
