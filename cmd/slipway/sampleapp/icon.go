package sampleapp

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"sync"
)

// iconSize is the side of the icon in pixels; each is the mean of
// iconSamples × iconSamples points.
const (
	iconSize    = 400
	iconSamples = 2
)

var (
	sky   = color.NRGBA{0x1d, 0x4e, 0x89, 0xff}
	sea   = color.NRGBA{0x0f, 0x2f, 0x57, 0xff}
	ramp  = color.NRGBA{0xf2, 0xa6, 0x5a, 0xff}
	hull  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	blank = color.NRGBA{}
)

// icon is a PNG of a boat on a slipway.
var icon = sync.OnceValues(func() ([]byte, error) {
	picture := image.NewNRGBA(image.Rect(0, 0, iconSize, iconSize))
	for y := range iconSize {
		for x := range iconSize {
			picture.SetNRGBA(x, y, pixel(x, y))
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("draw icon: %w", err)
	}
	return out.Bytes(), nil
})

// pixel is the mean of the points in it, weighted by their opacity.
func pixel(x, y int) color.NRGBA {
	const points = iconSamples * iconSamples
	var r, g, b, a int
	for i := range points {
		c := point(
			(float64(x)+(float64(i%iconSamples)+0.5)/iconSamples)/iconSize,
			(float64(y)+(float64(i/iconSamples)+0.5)/iconSamples)/iconSize,
		)
		if c.A != 0 {
			r, g, b, a = r+int(c.R), g+int(c.G), b+int(c.B), a+1
		}
	}
	if a == 0 {
		return blank
	}
	return color.NRGBA{uint8(r / a), uint8(g / a), uint8(b / a), uint8(0xff * a / points)}
}

// The ramp falls to the right.
var rampSin, rampCos = math.Sincos(0.28)

// point is the colour at x to the right and y down, both from 0 to 1.
func point(x, y float64) color.NRGBA {
	// A square with round corners.
	const corner = 0.18
	dx := math.Max(math.Abs(x-0.5)-(0.5-corner), 0)
	dy := math.Max(math.Abs(y-0.5)-(0.5-corner), 0)
	if math.Hypot(dx, dy) > corner {
		return blank
	}
	// u runs along the ramp, v stands on it.
	u, v := (x-0.5)*rampCos+(y-0.62)*rampSin, (x-0.5)*rampSin-(y-0.62)*rampCos
	switch {
	case v > 0.02 && v < 0.16 && math.Abs(u+0.04) < 0.16+v*0.75, // the hull is wider above
		v >= 0.16 && v < 0.46 && u > -0.06 && u < -0.06+(0.46-v)*0.75: // a sail
		return hull
	case y > 0.76 && y > 0.78+0.02*math.Sin(x*6*math.Pi):
		return sea
	case v <= 0 && v > -0.07:
		return ramp
	case v <= -0.07:
		return sea
	default:
		return sky
	}
}
