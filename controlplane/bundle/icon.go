package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The limits of an icon as it is in a bundle.
const (
	maxIcon     = 1 << 20 // bytes
	maxIconSide = 2048    // pixels
)

// iconSides are the sides that an icon is brought to, in pixels: the first at
// which it is not larger than controlplane.MaxIcon. The last always is.
var iconSides = [...]int{64, 48, 32}

// icon is the bundle's icon, decoded and encoded anew as a PNG that is small in
// pixels and in bytes (controlplane.MaxIcon): nothing else that is in the file
// reaches a browser.
func (b *Bundle) icon(keep func(controlplane.Part) error) error {
	raw, err := b.read(b.Icon, maxIcon)
	if err != nil {
		return err
	}
	small, err := smallIcon(raw)
	if err != nil {
		return err
	}
	return keep(controlplane.Part{Kind: controlplane.PartIcon, Type: "image/png", Data: small})
}

func smallIcon(raw []byte) ([]byte, error) {
	whole, _, err := decodePicture(raw, maxIconSide)
	if err != nil {
		return nil, err
	}
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
