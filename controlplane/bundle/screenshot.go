package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The limits of screenshots as they are in a bundle.
const (
	maxScreenshots    = 10
	maxScreenshot     = 4 << 20 // bytes of each
	maxScreenshotSide = 8192    // pixels; see maxDecoded too
)

// screenshotSide is what a screenshot is brought to, in pixels.
const screenshotSide = 1600

// jpegQuality is for photographs, and for what is too large as a PNG.
const jpegQuality = 85

// screenshot is one of the bundle's, decoded and encoded anew: a PNG stays one,
// unless it is then larger than controlplane.MaxScreenshot.
func (b *Bundle) screenshot(name string, keep func(controlplane.Part) error) error {
	raw, err := b.read(name, maxScreenshot)
	if err != nil {
		return err
	}
	whole, format, err := decodePicture(raw, maxScreenshotSide)
	if err != nil {
		return err
	}
	small := shrunk(whole, screenshotSide)
	var out bytes.Buffer
	if format == "png" {
		if err := png.Encode(&out, small); err != nil {
			return fmt.Errorf("it cannot be encoded: %w", err)
		}
		if out.Len() <= controlplane.MaxScreenshot {
			return keep(controlplane.Part{Kind: controlplane.PartScreenshot, Type: "image/png", Data: out.Bytes()})
		}
	}
	out.Reset()
	if err := jpeg.Encode(&out, small, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return fmt.Errorf("it cannot be encoded: %w", err)
	}
	if out.Len() > controlplane.MaxScreenshot {
		return errors.New("it is too large")
	}
	return keep(controlplane.Part{Kind: controlplane.PartScreenshot, Type: "image/jpeg", Data: out.Bytes()})
}
