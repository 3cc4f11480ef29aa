package objects

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// fetchPatience is how long the control plane may fail to answer a pod.
const fetchPatience = 2 * time.Minute

// Where the parts of a bundle's pod are kept.
const (
	volProgram = "program"
	volApp     = "bundle"
	volEnv     = "environment"
	volWork    = "work"
	volTemp    = "tmp"
	volFetch   = volSecret + "-bundle"
	volRun     = volSecret + "-run"

	keyBundle = "bundle.json"
	keyRun    = "run.json"
)

// environmentsIn is the folder of the instance's own volume /resources that keeps
// its environments (spec apps.md §2, ResourceVolumeSize).
const environmentsIn = ".slipway-environments"

// bundlePod is what the pod of one start is made of.
type bundlePod struct {
	Bundles
	w     *launcher.Workload
	image string // that the app runs in
}

func (p *bundlePod) python() bool { return p.w.App.AppMode != controlplane.Binary }

func (p *bundlePod) make() (*Bundle, error) {
	fetch, err := json.Marshal(p.fetch())
	if err != nil {
		return nil, err
	}
	run, err := json.Marshal(p.run())
	if err != nil {
		return nil, err
	}
	secret := SecretName(p.w.InstanceID, p.w.Generation)
	out := &Bundle{
		Image: p.image, Command: []string{inpod.Program, inpod.StepRun, inpod.RunFile}, Dir: inpod.AppDir,
		Env: []corev1.EnvVar{
			{Name: "HOME", Value: inpod.HomeDir}, {Name: "TMPDIR", Value: inpod.TempDir}, {Name: "LANG", Value: "C.UTF-8"},
		},
		Secret: map[string][]byte{keyBundle: fetch, keyRun: run},
		Volumes: []corev1.Volume{
			folder(volProgram, resource.MustParse("64Mi")), folder(volApp, p.App), folder(volWork, p.App), folder(volTemp, p.App),
			secretVolume(volFetch, secret, corev1.KeyToPath{Key: keyBundle, Path: keyBundle}),
			secretVolume(volRun, secret, corev1.KeyToPath{Key: keyRun, Path: keyRun}),
		},
		Mounts: []corev1.VolumeMount{
			{Name: volProgram, MountPath: inpod.BinDir, ReadOnly: true}, {Name: volApp, MountPath: inpod.AppDir}, {Name: volWork, MountPath: inpod.WorkDir},
			{Name: volTemp, MountPath: inpod.TempDir}, {Name: volRun, MountPath: path.Dir(inpod.RunFile), ReadOnly: true},
		},
		Init: []corev1.Container{{
			Name: ContainerBundle, Image: p.Image, Command: []string{"slipway-pod", inpod.StepBundle, inpod.BundleFile},
			VolumeMounts: []corev1.VolumeMount{
				{Name: volProgram, MountPath: inpod.BinDir}, {Name: volApp, MountPath: inpod.AppDir}, {Name: volTemp, MountPath: inpod.TempDir},
				{Name: volFetch, MountPath: path.Dir(inpod.BundleFile), ReadOnly: true},
			},
		}},
	}
	if p.python() {
		p.packages(out)
	}
	for i := range out.Init {
		c := &out.Init[i]
		c.ImagePullPolicy, c.SecurityContext = pullPolicy(c.Image), Restricted(true)
	}
	return out, nil
}

// packages adds what installs Python packages. It has no secret, and what it
// installs nobody changes while the app runs.
func (p *bundlePod) packages(out *Bundle) {
	env := corev1.VolumeMount{Name: volEnv, MountPath: inpod.EnvDir}
	if p.w.App.Manifest.Runtime.ResourceVolumeSize != "" {
		env = corev1.VolumeMount{Name: volResources, MountPath: inpod.EnvDir, SubPath: environmentsIn}
	} else {
		out.Volumes = append(out.Volumes, folder(volEnv, p.Environment))
	}
	out.Init = append(out.Init, corev1.Container{
		Name: ContainerDependencies, Image: p.image,
		Command: []string{inpod.Program, inpod.StepDependencies, inpod.AppDir, inpod.EnvDir, inpod.TempDir},
		VolumeMounts: []corev1.VolumeMount{
			{Name: volProgram, MountPath: inpod.BinDir, ReadOnly: true}, {Name: volApp, MountPath: inpod.AppDir, ReadOnly: true},
			{Name: volTemp, MountPath: inpod.TempDir}, env,
		},
	})
	env.ReadOnly = true
	out.Mounts = append(out.Mounts, env)
}

func (p *bundlePod) fetch() inpod.Bundle {
	link := p.w.BundleLink(p.Validity)
	return inpod.Bundle{
		URL: strings.TrimSuffix(p.ControlPlane, "/") + link.Target, Host: link.Host, CA: p.CA, Digest: link.Digest, Limit: p.Archive,
		Patience: fetchPatience, Program: inpod.Program, App: inpod.AppDir, Scratch: inpod.TempDir, Files: inpod.Relative(p.w.Files, false),
	}
}

func (p *bundlePod) run() inpod.Run {
	rt := p.w.App.Manifest.Runtime
	r := inpod.Run{
		Mode: p.w.App.AppMode, Module: rt.Module, App: inpod.AppDir, Env: inpod.EnvDir, Work: inpod.WorkDir,
		Port: portOf(p.w), Patience: p.w.HealthTimeout, Files: inpod.Relative(p.w.Files, true),
	}
	if !p.python() {
		r.EntryPoint, r.Args = rt.AppEntryPoint, rt.AppArgs
	}
	return r
}

// folder is one that ends with the pod.
func folder(name string, size resource.Quantity) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}}
}

// preparing gives init containers the app's own limits, but for devices, which
// stay the app's: a pod is given the most that any of its steps asks for.
func preparing(init []corev1.Container, app corev1.ResourceRequirements) []corev1.Container {
	init = slices.Clone(init)
	for i := range init {
		init[i].Resources = corev1.ResourceRequirements{Limits: basic(app.Limits), Requests: basic(app.Requests)}
	}
	return init
}

func basic(all corev1.ResourceList) corev1.ResourceList {
	some := corev1.ResourceList{}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := all[name]; ok {
			some[name] = q
		}
	}
	return some
}
