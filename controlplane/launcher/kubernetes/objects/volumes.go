package objects

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// resourcesDir is where Runtime.ResourceVolumeSize asks for a volume (spec
// apps.md §2).
const resourcesDir = "/resources"

// volResources is what pods call that volume.
const volResources = "resources"

// kernels are folders that no container runtime mounts anything into.
var kernels = []string{"/proc", "/sys"}

// mount adds a mount, of which words say what wants it.
func (p *pod) mount(m corev1.VolumeMount, words string) error {
	m.MountPath = path.Clean(m.MountPath)
	other, taken := p.mounted[m.MountPath]
	switch {
	case taken:
		return refuse(controlplane.BadBundle, "%s and %s are both at %s; give one of them another path in app.toml", other, words, m.MountPath)
	case strings.ContainsAny(m.MountPath, ":\x00"):
		return refuse(controlplane.BadBundle, "%s: no path in a pod may have a colon; give it another in app.toml", words)
	case m.MountPath == "/" || slices.ContainsFunc(kernels, func(k string) bool { return m.MountPath == k || strings.HasPrefix(m.MountPath, k+"/") }):
		return refuse(controlplane.BadBundle, "%s: nothing can be mounted at %s; give it another path in app.toml", words, m.MountPath)
	}
	p.mounted[m.MountPath] = words
	p.mounts = append(p.mounts, m)
	return nil
}

// persistent are the volumes that survive the start.
func (p *pod) persistent() error {
	rt, id := p.Workload.App.Manifest.Runtime, p.Workload.InstanceID
	for _, v := range []struct{ volume, claim, field, size, at string }{
		{"volume", VolumeName(id), "Runtime.VolumeMount", rt.VolumeSize, rt.VolumeMount},
		{volResources, ResourcesName(id), "Runtime.ResourceVolumeSize", rt.ResourceVolumeSize, resourcesDir},
	} {
		if v.size == "" || v.at == "" {
			continue
		}
		size, err := quantity(v.field, v.size)
		if err != nil {
			return err
		}
		if err := p.mount(corev1.VolumeMount{Name: v.volume, MountPath: v.at}, v.field); err != nil {
			return err
		}
		claim := &corev1.PersistentVolumeClaim{
			TypeMeta: kind("v1", "PersistentVolumeClaim"), ObjectMeta: p.meta(v.claim),
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{p.settings.AccessMode},
				Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: size}},
			},
		}
		if class := p.settings.StorageClass; class != "" {
			claim.Spec.StorageClassName = &class
		}
		p.claims = append(p.claims, claim)
		p.volumes = append(p.volumes, corev1.Volume{Name: v.volume, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.claim},
		}})
	}
	return nil
}

// scratch are the folders that the app may write and that end with the start:
// /tmp, /dev/shm where it asks for that, and what its image says that it writes.
func (p *pod) scratch() error {
	add := func(v corev1.Volume, at, words string) error {
		if _, taken := p.mounted[path.Clean(at)]; taken {
			return nil // the app has brought its own
		}
		p.volumes = append(p.volumes, v)
		return p.mount(corev1.VolumeMount{Name: v.Name, MountPath: at}, words)
	}
	if err := add(folder("tmp", p.settings.Scratch), "/tmp", "the folder of temporary files"); err != nil {
		return err
	}
	if p.Workload.App.Manifest.Runtime.EnableSHM {
		shm := folder("shm", p.settings.SharedMemory)
		shm.EmptyDir.Medium = corev1.StorageMediumMemory
		if err := add(shm, "/dev/shm", "Runtime.EnableSHM"); err != nil {
			return err
		}
	}
	if p.Bundle != nil || p.Image == nil {
		return nil
	}
	for n, at := range p.Image.Volumes {
		if err := add(folder(fmt.Sprint("image-", n), p.settings.Scratch), at, "a volume of the image"); err != nil {
			return err
		}
	}
	return nil
}
