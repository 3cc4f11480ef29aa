package objects

import (
	"cmp"
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// Placement says on which nodes pods may run.
type Placement struct {
	NodeSelector map[string]string
	Tolerations  []corev1.Toleration
	Affinity     *corev1.Affinity
	// RuntimeClass is a RuntimeClass of the cluster, such as one of gVisor; empty is
	// the nodes' own.
	RuntimeClass string
	// GPU is the resource that GPUs are counted by; empty is "nvidia.com/gpu".
	GPU corev1.ResourceName
}

// DefaultGPU is the resource that GPUs are counted by where no setting says
// otherwise.
const DefaultGPU corev1.ResourceName = "nvidia.com/gpu"

// place is the placement of a start.
func (p *pod) place() Placement {
	s, rt := p.settings, p.Workload.App.Manifest.Runtime
	all := s.Every
	if rt.GPUCount > 0 {
		gpu, ok := s.GPUs[rt.GPUType]
		if !ok && rt.GPUType != "" {
			p.warn("GPUType %s means no nodes here (setting gpu of launcher kubernetes): the app gets any GPU of the cluster", rt.GPUType)
		}
		all = all.and(gpu)
	}
	if r := p.Workload.Runtime; r != nil {
		all = all.and(s.Runtimes[r.Name])
	}
	return all.and(s.Profiles[p.Workload.Profile])
}

// and adds what another placement says. Where both say something of the same
// label, or have an affinity, the other one's holds.
func (p Placement) and(o Placement) Placement {
	selector := maps.Clone(p.NodeSelector)
	if selector == nil && len(o.NodeSelector) > 0 {
		selector = map[string]string{}
	}
	maps.Copy(selector, o.NodeSelector)
	p.NodeSelector = selector
	p.Tolerations = append(p.Tolerations[:len(p.Tolerations):len(p.Tolerations)], o.Tolerations...)
	if o.Affinity != nil {
		p.Affinity = o.Affinity
	}
	p.RuntimeClass = cmp.Or(o.RuntimeClass, p.RuntimeClass)
	p.GPU = cmp.Or(o.GPU, p.GPU)
	return p
}
