package caddymodule

import (
	"errors"
	"fmt"
)

// BundleLimits are the limits of bundles beside the setting max_upload. What is 0
// has its default.
type BundleLimits struct {
	// Bytes of all files of a bundle together, unpacked. Default: 2 GiB.
	Unpacked int64 `json:"unpacked,omitempty"`
	// Files and folders in a bundle. Default: 100000.
	Entries int64 `json:"entries,omitempty"`
	// Unpacked bytes for each byte of the archive, once over 1 MiB is unpacked.
	// Default: 200.
	Ratio int64 `json:"ratio,omitempty"`
}

func (l BundleLimits) validate() error {
	var errs []error
	for name, n := range map[string]int64{"unpacked": l.Unpacked, "entries": l.Entries, "ratio": l.Ratio} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s of bundle_limits is a number above 0, not %d", name, n))
		}
	}
	return errors.Join(errs...)
}

// bundleLimits reads the block bundle_limits. Its upload is the setting
// max_upload by another name.
func (p *parser) bundleLimits() error {
	if p.NextArg() {
		return p.ArgErr()
	}
	s := &p.app.Settings
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		name := p.Val()
		if name == "upload" {
			if err := p.once("max_upload"); err != nil {
				return err
			}
		}
		if err := p.once("bundle_limits' " + name); err != nil {
			return err
		}
		var err error
		switch name {
		case "upload":
			err = p.bytes(&s.MaxUpload)
		case "unpacked":
			err = p.bytes(&s.BundleLimits.Unpacked)
		case "entries":
			err = p.number(&s.BundleLimits.Entries)
		case "ratio":
			err = p.number(&s.BundleLimits.Ratio)
		default:
			err = p.Errf("bundle_limits has no setting %q; there are upload, unpacked, entries and ratio", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
