package offer

import (
	"cmp"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Resources implements controlplane.Offers.
func (o *Offers) Resources(app *controlplane.App, profile string) controlplane.Resources {
	asked := app.Manifest.Runtime.Asked
	if asked == nil {
		whole := app.Manifest.Runtime.Resources()
		asked = &whole
	}
	r := o.Defaults()
	layers := []controlplane.Resources{o.profile(app.LaunchProfile), *asked}
	if profile != "" {
		layers = []controlplane.Resources{*asked, o.profile(profile)}
	}
	for _, l := range layers {
		r.MemoryLimit, r.MemoryReservation = pair(r.MemoryLimit, r.MemoryReservation, l.MemoryLimit, l.MemoryReservation)
		r.CPULimit, r.CPUReservation = pair(r.CPULimit, r.CPUReservation, l.CPULimit, l.CPUReservation)
		r.GPUCount, r.GPUType = cmp.Or(l.GPUCount, r.GPUCount), cmp.Or(l.GPUType, r.GPUType)
	}
	most := o.config.Max
	r.MemoryLimit, r.MemoryReservation = bound(r.MemoryLimit, r.MemoryReservation, most.MemoryLimit)
	r.CPULimit, r.CPUReservation = bound(r.CPULimit, r.CPUReservation, most.CPULimit)
	if most.GPUCount > 0 {
		r.GPUCount = min(r.GPUCount, most.GPUCount)
	}
	if r.GPUCount == 0 {
		r.GPUType = ""
	}
	return r
}

// pair puts what is given over a limit and a reservation. Where only one is
// given, the other gives way to it.
func pair(limit, reservation, givenLimit, givenReservation string) (string, string) {
	limit, reservation = cmp.Or(givenLimit, limit), cmp.Or(givenReservation, reservation)
	switch {
	case !more(reservation, limit):
	case givenReservation != "" && givenLimit == "":
		limit = reservation
	default:
		reservation = limit
	}
	return limit, reservation
}

// bound puts a limit and a reservation under the most; what has no limit gets
// that one.
func bound(limit, reservation, most string) (string, string) {
	if most == "" {
		return limit, reservation
	}
	if limit == "" || more(limit, most) {
		limit = most
	}
	if more(reservation, limit) {
		reservation = limit
	}
	return limit, reservation
}

// more reports whether a is more than b; what is empty, or no quantity, is
// neither more nor less.
func more(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	x, err := resource.ParseQuantity(a)
	if err != nil {
		return false
	}
	y, err := resource.ParseQuantity(b)
	return err == nil && x.Cmp(y) > 0
}
