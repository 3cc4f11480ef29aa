package bundle

import "github.com/seed-dbc68772/slipway/controlplane"

// asked is what the manifest itself asks for, without the server's defaults:
// launch profiles come between the two. It is read before the rules are, which
// find what is wrong with it.
func asked(s section, rt *controlplane.Runtime) *controlplane.Resources {
	written := func(key string) string {
		if v := s.table.get(key); v != nil && v.kind == kindString {
			return v.text
		}
		return ""
	}
	return &controlplane.Resources{
		MemoryLimit: written("MemoryLimit"), MemoryReservation: written("MemoryReservation"),
		CPULimit: written("CPULimit"), CPUReservation: written("CPUReservation"),
		GPUCount: rt.GPUCount, GPUType: rt.GPUType,
	}
}
