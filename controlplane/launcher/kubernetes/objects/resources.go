package objects

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// leastScratch is what a pod asks of a node's disk. Where it asked for nothing,
// Kubernetes would have it ask for all that it may use.
var leastScratch = resource.MustParse("64Mi")

// resources are the app's, with GPUs counted by this resource.
func (p *pod) resources(gpu corev1.ResourceName) (r corev1.ResourceRequirements, err error) {
	rt := p.Workload.App.Manifest.Runtime
	r.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: p.settings.Scratch}
	r.Requests = corev1.ResourceList{corev1.ResourceEphemeralStorage: leastScratch}
	if p.settings.Scratch.Cmp(leastScratch) < 0 {
		r.Requests[corev1.ResourceEphemeralStorage] = p.settings.Scratch
	}
	for _, q := range []struct {
		field, text string
		of          corev1.ResourceName
		into        corev1.ResourceList
	}{
		{"Runtime.MemoryLimit", rt.MemoryLimit, corev1.ResourceMemory, r.Limits},
		{"Runtime.MemoryReservation", rt.MemoryReservation, corev1.ResourceMemory, r.Requests},
		{"Runtime.CPULimit", rt.CPULimit, corev1.ResourceCPU, r.Limits},
		{"Runtime.CPUReservation", rt.CPUReservation, corev1.ResourceCPU, r.Requests},
	} {
		if q.text == "" {
			continue
		}
		if q.into[q.of], err = quantity(q.field, q.text); err != nil {
			return r, err
		}
	}
	if rt.GPUCount > 0 {
		r.Limits[gpu] = *resource.NewQuantity(int64(rt.GPUCount), resource.DecimalSI)
	}
	return r, nil
}

// quantity reads a field of app.toml, which was checked at import.
func quantity(field, text string) (resource.Quantity, error) {
	q, err := resource.ParseQuantity(text)
	if err != nil || q.Sign() <= 0 {
		return q, refuse(controlplane.BadBundle, "%s %q is no quantity above 0, such as 512Mi; mend app.toml and import the app again", field, text)
	}
	return q, nil
}
