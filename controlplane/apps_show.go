package controlplane

import (
	"context"
	"fmt"
)

// The sizes of what is shown of an app, in bytes, at most.
const (
	// MaxIcon is an icon's. It has its place in the waiting page, which has 14 kB.
	MaxIcon = 8 << 10
	// MaxScreenshot is a screenshot's.
	MaxScreenshot = 2 << 20
)

// PartKind says what of an app a Part is.
type PartKind uint8

// The kinds of parts.
const (
	PartIcon        PartKind = iota // a PNG of MaxIcon at most
	PartScreenshot                  // a PNG or JPEG of MaxScreenshot at most; they come in their order
	PartDescription                 // a fragment of sanitised HTML
)

// Part is something of an app that people see, made by us from what is in the
// bundle.
type Part struct {
	Kind PartKind
	Type string // media type
	Data []byte
}

// Picture is a picture of an app as its record has it.
type Picture struct {
	Digest string `json:"digest"` // SHA-256, hexadecimal: its key in Blobs
	Type   string `json:"type"`   // media type
}

// Shown is an open part of an app, for whoever may see the app. The caller
// closes it.
type Shown struct {
	Blob
	App    *App
	Digest string // changes when the bytes do
	Type   string // media type
}

// ShowIcon opens an app's icon. The error is CodeNotFound where it has none, as
// of the other parts.
func (s *Service) ShowIcon(ctx context.Context, actor Actor, id string) (*Shown, error) {
	return s.show(ctx, actor, id, "icon", func(app *App) Picture { return Picture{app.Icon, "image/png"} })
}

// ShowScreenshot opens the n-th screenshot of an app, from 1 on.
func (s *Service) ShowScreenshot(ctx context.Context, actor Actor, id string, n int) (*Shown, error) {
	return s.show(ctx, actor, id, fmt.Sprintf("screenshot %d", n), func(app *App) Picture {
		if n < 1 || n > len(app.Screenshots) {
			return Picture{}
		}
		return app.Screenshots[n-1]
	})
}

// ShowDescription opens an app's long description, as HTML.
func (s *Service) ShowDescription(ctx context.Context, actor Actor, id string) (*Shown, error) {
	return s.show(ctx, actor, id, "long description", func(app *App) Picture {
		return Picture{app.LongDescription, "text/html; charset=utf-8"}
	})
}

func (s *Service) show(ctx context.Context, actor Actor, id, what string, part func(*App) Picture) (*Shown, error) {
	app, err := s.App(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	of := part(app)
	absent := Errorf(CodeNotFound, "app %s has no %s", app.Label(), what)
	if of.Digest == "" {
		return nil, absent
	}
	blob, err := s.openPart(ctx, app, of.Digest, absent)
	if err != nil {
		return nil, err
	}
	return &Shown{Blob: blob, App: app, Digest: of.Digest, Type: of.Type}, nil
}

// openPart opens a blob of an app that may be being deleted.
func (s *Service) openPart(ctx context.Context, app *App, digest string, absent error) (Blob, error) {
	blob, err := s.Blobs.Open(ctx, digest)
	if CodeOf(err) == CodeNotFound {
		return nil, absent
	}
	if err != nil {
		return nil, fmt.Errorf("open a part of app %s: %w", app.ID, err)
	}
	return blob, nil
}

// pendingPart is what an import keeps in Blobs, beside the record that names it.
type pendingPart struct {
	PendingBlob
	note func(app *App, digest string)
}

// keepParts makes blobs of what is shown of an app. They are the caller's to
// discard, with an error too.
func (s *Service) keepParts(ctx context.Context, read ReadBundle) (parts []pendingPart, warnings []Fault, err error) {
	if read.Show == nil {
		return nil, nil, nil
	}
	warnings, err = read.Show(ctx, func(p Part) error {
		pending, err := s.Blobs.Create(ctx)
		if err != nil {
			return err
		}
		parts = append(parts, pendingPart{pending, p.note})
		_, err = pending.Write(p.Data)
		return err
	})
	if err != nil {
		err = fmt.Errorf("keep parts of bundle: %w", err)
	}
	return parts, warnings, err
}

// note writes the part's digest into the record.
func (p Part) note(app *App, digest string) {
	switch p.Kind {
	case PartIcon:
		app.Icon = digest
	case PartScreenshot:
		app.Screenshots = append(app.Screenshots, Picture{digest, p.Type})
	case PartDescription:
		app.LongDescription = digest
	}
}
