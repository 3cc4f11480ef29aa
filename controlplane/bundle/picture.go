package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/jpeg" // a format that pictures have
	_ "image/png"  // likewise
	"sync"
)

// maxDecoded is how much memory the decoder of one picture may take, in bytes:
// a PNG of 3840×2400 pixels, or a progressive JPEG of 2.4 million.
const maxDecoded = 36 << 20

// decoding is held for as long as a decoded picture is in memory: imports at the
// same time take that of one.
var decoding sync.Mutex

// decodePicture decodes a PNG or a JPEG with sides of so many pixels at most.
func decodePicture(raw []byte, most int) (image.Image, string, error) {
	// The sides come first: a few bytes can say that they are a gigabyte.
	config, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil || format != "png" && format != "jpeg" { // other packages may know more
		return nil, "", errors.New("it is neither PNG nor JPEG")
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 || w > most || h > most || w*h > maxDecoded/decodedSize(config, format, raw) {
		return nil, "", fmt.Errorf("it has %d×%d pixels", w, h)
	}
	decoded, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, "", fmt.Errorf("it cannot be decoded: %w", err)
	}
	return decoded, format, nil
}

// decodedSize is how many bytes the decoder takes for a pixel, at most.
func decodedSize(config image.Config, format string, raw []byte) int {
	if format == "png" {
		size := 4
		switch config.ColorModel {
		case color.RGBA64Model, color.NRGBA64Model:
			size = 8
		}
		if len(raw) > 28 && raw[28] != 0 { // interlaced: each pass is a picture of its own
			size *= 2
		}
		return size
	}
	size, samples := 3, 3
	if config.ColorModel == color.CMYKModel {
		size, samples = 8, 4 // black comes with a copy
	}
	if progressive(raw) {
		size += samples * 4 // all coefficients are kept to the end
	}
	return size
}

// progressive tells whether a JPEG is coded in several passes; true where that
// cannot be seen.
func progressive(raw []byte) bool {
	for i := 2; i+4 <= len(raw); {
		switch marker := raw[i+1]; {
		case raw[i] != 0xff || marker == 0xff:
			i++
		case marker == 0xc0 || marker == 0xc1:
			return false
		case marker == 0 || 0xd0 <= marker && marker <= 0xd9: // these have no length
			i += 2
		case marker == 0xc2:
			return true
		default:
			i += 2 + int(binary.BigEndian.Uint16(raw[i+2:]))
		}
	}
	return true
}

// shrunk is a picture whose longer side is this at most, in its proportions,
// with 8 bits for each colour. Each pixel is the mean of those that it stands
// for.
func shrunk(whole image.Image, side int) *image.RGBA {
	from := whole.Bounds()
	w, h := from.Dx(), from.Dy()
	outW, outH := w, h
	if longer := max(w, h); longer > side {
		outW, outH = max(1, w*side/longer), max(1, h*side/longer)
	}
	out := image.NewRGBA(image.Rect(0, 0, outW, outH))
	if outW == w && outH == h {
		draw.Draw(out, out.Rect, whole, from.Min, draw.Src)
		return out
	}
	// A strip of the whole is brought to RGBA at a time.
	strip := image.NewRGBA(image.Rect(0, 0, w, h/outH+1))
	for y := range outH {
		top, bottom := y*h/outH, (y+1)*h/outH
		rows := image.Rect(0, 0, w, bottom-top)
		draw.Draw(strip, rows, whole, from.Min.Add(image.Pt(0, top)), draw.Src)
		for x := range outW {
			out.SetRGBA(x, y, mean(strip, image.Rect(x*w/outW, 0, (x+1)*w/outW, rows.Max.Y)))
		}
	}
	return out
}

// mean is that of a part that is not empty. Transparent pixels have no say in
// the colour, since those of image.RGBA are multiplied by their alpha.
func mean(of *image.RGBA, part image.Rectangle) color.RGBA {
	var sum [4]int
	for y := part.Min.Y; y < part.Max.Y; y++ {
		row := of.Pix[of.PixOffset(part.Min.X, y):of.PixOffset(part.Max.X, y)]
		for i := 0; i+3 < len(row); i += 4 {
			sum[0] += int(row[i])
			sum[1] += int(row[i+1])
			sum[2] += int(row[i+2])
			sum[3] += int(row[i+3])
		}
	}
	n := part.Dx() * part.Dy()
	at := func(i int) uint8 { return uint8((sum[i] + n/2) / n) } //nolint:gosec // the mean of bytes is one
	return color.RGBA{at(0), at(1), at(2), at(3)}
}
