package bundle

import (
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Meta is what the bundle says of itself. It unpacks the few files that it
// returns.
func (b *Bundle) Meta() (*controlplane.BundleMeta, error) {
	meta := &controlplane.BundleMeta{Files: []controlplane.BundleFile{}}
	for i := range b.entries {
		if e := &b.entries[i]; !e.folder() {
			meta.Files = append(meta.Files, controlplane.BundleFile{Path: strings.TrimPrefix(e.path(), b.prefix), Size: int64(e.size)})
		}
	}
	app, err := b.text(b.ManifestFile, maxManifest)
	if err != nil {
		return nil, err
	}
	meta.App = *app
	if meta.Requirements, err = b.text("requirements.txt", maxRequirements); err != nil {
		return nil, err
	}
	meta.Packages, err = b.text("packages.txt", maxPackages)
	return meta, err
}

// text is the content of a file, or nil where there is none.
func (b *Bundle) text(name string, limit int64) (*string, error) {
	if b.find(b.prefix+name) == nil {
		return nil, nil
	}
	data, err := b.read(name, limit)
	if err != nil {
		return nil, err
	}
	return new(strings.ToValidUTF8(string(data), "\uFFFD")), nil
}
