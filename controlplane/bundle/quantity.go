package bundle

import (
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// quantityRule is the part of the Kubernetes grammar that anybody needs. The
// library itself would compute 1e999999999 digit by digit.
var quantityRule = regexp.MustCompile(`^\+?([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})([numkMGTPE]|[KMGTPE]i|[eE]\+?[0-9]{1,2})?$`)

var leastMemory = resource.MustParse("1Mi")

func parseQuantity(s string) (resource.Quantity, bool) {
	if !quantityRule.MatchString(s) {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(s)
	return q, err == nil
}

// quantity is a quantity above 0 as written; memory and volumes have at least
// 1Mi, since 500m is half a byte. nil where there is none, or a fault.
func (s section) quantity(key string, bytes bool) *value {
	v := s.str(key)
	if v == nil {
		return nil
	}
	q, ok := parseQuantity(v.text)
	switch {
	case !ok:
		s.r.fault(v, s.field(key), "not a quantity", mendQuantity(v.text, bytes))
	case q.Sign() <= 0:
		s.r.fault(v, s.field(key), "must be above 0", "leave it out for the default")
	case bytes && q.Cmp(leastMemory) < 0:
		s.r.fault(v, s.field(key), "is less than 1Mi", mendQuantity(v.text, bytes))
	default:
		return v
	}
	return nil
}

var looseQuantity = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$`)

// mendQuantity guesses what was meant: 500MB, 500 Mb and 500m are 500Mi.
func mendQuantity(s string, bytes bool) string {
	m := looseQuantity.FindStringSubmatch(strings.TrimSpace(s))
	if bytes {
		if m != nil {
			unit := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(m[2]), "b"), "i")
			if unit == "" || len(unit) == 1 && strings.Contains("kmgtp", unit) {
				if unit == "" {
					unit = "m"
				}
				if unit == "k" {
					return "use " + m[1] + "Ki"
				}
				return "use " + m[1] + strings.ToUpper(unit) + "i"
			}
		}
		return "use a number and Ki, Mi, Gi or Ti, like 512Mi"
	}
	if m != nil && strings.HasPrefix(strings.ToLower(m[2]), "c") {
		return "use " + m[1]
	}
	return "use a number of cores, like 1.5 or 500m"
}

// pair reads a limit and a reservation: reservation ≤ limit, and where only
// one is given the other's default gives way to it.
func (s section) pair(limitKey, reservationKey string, bytes bool, defLimit, defReservation string) (limit, reservation string) {
	l, r := s.quantity(limitKey, bytes), s.quantity(reservationKey, bytes)
	limit, reservation = defLimit, defReservation
	if l != nil {
		limit = l.text
	}
	if r != nil {
		reservation = r.text
	}
	if limit == "" || reservation == "" {
		return limit, reservation
	}
	a, okLimit := parseQuantity(limit)
	b, okReservation := parseQuantity(reservation)
	if !okLimit || !okReservation || b.Cmp(a) <= 0 {
		return limit, reservation
	}
	switch {
	case l != nil && r != nil:
		s.r.fault(r, s.field(reservationKey), "is more than "+limitKey+", which is "+limit, "lower it, or raise "+limitKey)
	case r != nil:
		limit = reservation
	default:
		reservation = limit
	}
	return limit, reservation
}

// memory is pair under the server's cap, to which defaults give way.
func (r *manifestReader) memory(s section) {
	limit, reservation := r.o.DefaultMemoryLimit, r.o.DefaultMemoryReservation
	most, capped := parseQuantity(r.o.MaxMemory)
	if capped {
		limit, reservation = atMost(limit, most, r.o.MaxMemory), atMost(reservation, most, r.o.MaxMemory)
		for _, key := range []string{"MemoryLimit", "MemoryReservation"} {
			v := s.table.get(key)
			if v == nil || v.kind != kindString {
				continue
			}
			if q, ok := parseQuantity(v.text); ok && q.Cmp(most) > 0 {
				r.fault(v, s.field(key), "is more than this server allows", "use at most "+r.o.MaxMemory)
			}
		}
	}
	r.m.Runtime.MemoryLimit, r.m.Runtime.MemoryReservation = s.pair("MemoryLimit", "MemoryReservation", true, limit, reservation)
}

func atMost(s string, most resource.Quantity, cap string) string {
	if q, ok := parseQuantity(s); ok && q.Cmp(most) > 0 {
		return cap
	}
	return s
}

// ignored warns of a key that the app's mode does not use, and takes it out.
func (s section) ignored(key, why string) {
	v := s.table.get(key)
	if v == nil {
		return
	}
	if !v.zero() {
		s.r.warnAt(v.keyAt, controlplane.Fault{Code: WarnIgnored, Field: s.field(key), Message: "ignored: " + why})
	}
	s.table.remove(v)
}
