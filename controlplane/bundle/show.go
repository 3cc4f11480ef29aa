package bundle

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/markdown"
)

// Read is what an import takes from the bundle. Its Show reads from the archive.
func (b *Bundle) Read() controlplane.ReadBundle {
	return controlplane.ReadBundle{Manifest: b.Manifest, Warnings: b.Warnings, Show: b.Show}
}

// Show makes what people see of an app: the icon, the screenshots in the order
// of their names, and the long description as HTML. It hands them on one by
// one, since a picture takes memory while it is decoded; all imports of this
// process take turns in that. What cannot be used is a warning, since nothing
// depends on it. An error is keep's, ctx's or the archive's.
func (b *Bundle) Show(ctx context.Context, keep func(controlplane.Part) error) (warnings []controlplane.Fault, err error) {
	one := func(code, name, what, hint string, show func(func(controlplane.Part) error) error) {
		if err != nil {
			return
		}
		if err = ctx.Err(); err != nil {
			return
		}
		var kept error
		failed := show(func(p controlplane.Part) error {
			kept = keep(p)
			return kept
		})
		switch {
		case kept != nil:
			err = kept
		case failed == nil:
		case isBroken(failed):
			err = failed
		default:
			warnings = append(warnings, controlplane.Fault{Code: code, Where: cut(name), Message: what + " is left out: " + failed.Error(), Hint: hint})
		}
	}
	if b.Icon != "" {
		hint := fmt.Sprintf("take a PNG or JPEG of at most %d pixels a side, and 1 MiB", maxIconSide)
		one(WarnIcon, b.Icon, "the icon", hint, func(keep func(controlplane.Part) error) error { return alone(func() error { return b.icon(keep) }) })
	}
	for i, name := range b.Screenshots {
		if i == maxScreenshots {
			text := fmt.Sprintf("%d screenshots are left out: the limit is %d", len(b.Screenshots)-i, maxScreenshots)
			warnings = append(warnings, controlplane.Fault{Code: WarnScreenshot, Where: cut(name), Message: text})
			break
		}
		hint := "take a PNG or JPEG of at most 3840×2400 pixels, and 4 MiB"
		one(WarnScreenshot, name, "the screenshot", hint, func(keep func(controlplane.Part) error) error {
			return alone(func() error { return b.screenshot(name, keep) })
		})
	}
	if b.Manifest.LongDescription != "" {
		hint := fmt.Sprintf("shorten it to %d KiB", markdown.MaxSource>>10)
		one(WarnDescription, b.Manifest.LongDescription, "the long description", hint, b.description)
	}
	return warnings, err
}

// alone has the memory for pictures to itself, and leaves none of it behind for
// the next one: the collector would let it grow to twice that first. It goes back
// to the system, since what is merely free may be in parts that the next picture
// does not fit into.
func alone(f func() error) error {
	decoding.Lock()
	defer decoding.Unlock()
	defer debug.FreeOSMemory()
	return f()
}

// isBroken tells what is the machine's fault from what is the picture's.
func isBroken(err error) bool {
	e, ours := errors.AsType[*controlplane.Error](err)
	return ours && e.Code == controlplane.CodeInternal
}

func (b *Bundle) description(keep func(controlplane.Part) error) error {
	source, err := b.read(b.Manifest.LongDescription, markdown.MaxSource)
	if err != nil {
		return err
	}
	html, err := markdown.HTML(source)
	if err != nil {
		return err
	}
	return keep(controlplane.Part{Kind: controlplane.PartDescription, Type: "text/html; charset=utf-8", Data: html})
}

// pictures are the icon and the screenshots, in name order. A picture in a
// format that is not taken is a warning.
func (c *contents) pictures(f *faults) (icon string, screenshots []string) {
	var names []string
	for name := range c.files {
		if base, ok := strings.CutPrefix(name, "static/"); ok && !strings.Contains(base, "/") &&
			(strings.HasPrefix(base, "icon") || strings.HasPrefix(base, "screenshot")) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		of := strings.HasPrefix(name, "static/icon")
		switch strings.ToLower(path.Ext(name)) {
		case ".png", ".jpg", ".jpeg":
			if !of {
				screenshots = append(screenshots, name)
			} else if icon == "" {
				icon = name
			}
		case ".svg", ".gif", ".webp", ".avif", ".bmp", ".ico", ".tif", ".tiff":
			code := WarnScreenshot
			if of {
				code = WarnIcon
			}
			f.warn(controlplane.Fault{Code: code, Where: name, Message: "not used: pictures are PNG or JPEG", Hint: "save it as a PNG"})
		}
	}
	return icon, screenshots
}
