package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // a format that icons have
	"image/png"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The limits of an icon as it is in a bundle.
const (
	maxIcon     = 1 << 20 // bytes
	maxIconSide = 2048    // pixels: 16 MiB when it is decoded
)

// iconSides are the sides that an icon is brought to, in pixels: the first at
// which it is not larger than controlplane.MaxIcon. The last always is.
var iconSides = [...]int{64, 48, 32}

// SmallIcon is the bundle's icon, decoded and encoded anew as a PNG that is
// small in pixels and in bytes (controlplane.MaxIcon): nothing else that is in
// the file reaches a browser. It is nil where there is none. One that cannot be
// used is a warning, since nothing depends on it.
func (b *Bundle) SmallIcon() ([]byte, []controlplane.Fault) {
	if b.Icon == "" {
		return nil, nil
	}
	raw, err := b.read(b.Icon, maxIcon)
	if err == nil {
		raw, err = smallIcon(raw)
	}
	if err != nil {
		return nil, []controlplane.Fault{{
			Code: WarnIcon, Where: b.Icon, Message: "the icon is left out: " + err.Error(),
			Hint: fmt.Sprintf("take a PNG or JPEG of at most %d pixels a side, and 1 MiB", maxIconSide),
		}}
	}
	return raw, nil
}

func smallIcon(raw []byte) ([]byte, error) {
	// The sides come first: a few bytes can say that they are a gigabyte.
	config, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil || format != "png" && format != "jpeg" { // other packages may know more
		return nil, errors.New("it is neither PNG nor JPEG")
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxIconSide || config.Height > maxIconSide {
		return nil, fmt.Errorf("it has %d×%d pixels", config.Width, config.Height)
	}
	decoded, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("it cannot be decoded: %w", err)
	}
	whole := image.NewRGBA(image.Rect(0, 0, decoded.Bounds().Dx(), decoded.Bounds().Dy()))
	draw.Draw(whole, whole.Rect, decoded, decoded.Bounds().Min, draw.Src)
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	for _, side := range iconSides {
		var out bytes.Buffer
		if err := encoder.Encode(&out, shrunk(whole, side)); err != nil {
			return nil, fmt.Errorf("it cannot be encoded: %w", err)
		}
		if out.Len() <= controlplane.MaxIcon {
			return out.Bytes(), nil
		}
	}
	return nil, errors.New("it is too large")
}

// shrunk is a picture whose longer side is this at most, in its proportions.
// Each pixel is the mean of those that it stands for.
func shrunk(whole *image.RGBA, side int) image.Image {
	w, h := whole.Rect.Dx(), whole.Rect.Dy()
	longer := max(w, h)
	if longer <= side {
		return whole
	}
	out := image.NewRGBA(image.Rect(0, 0, max(1, w*side/longer), max(1, h*side/longer)))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.SetRGBA(x, y, mean(whole, image.Rect(
				x*w/out.Rect.Dx(), y*h/out.Rect.Dy(), (x+1)*w/out.Rect.Dx(), (y+1)*h/out.Rect.Dy(),
			)))
		}
	}
	return out
}

// mean is that of a part that is not empty. Transparent pixels have no say in
// the colour, since those of image.RGBA are multiplied by their alpha.
func mean(of *image.RGBA, part image.Rectangle) color.RGBA {
	var sum [4]int
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			c := of.RGBAAt(x, y)
			for i, v := range [...]uint8{c.R, c.G, c.B, c.A} {
				sum[i] += int(v)
			}
		}
	}
	n := part.Dx() * part.Dy()
	at := func(i int) uint8 { return uint8((sum[i] + n/2) / n) } //nolint:gosec // the mean of bytes is one
	return color.RGBA{at(0), at(1), at(2), at(3)}
}
