package objects

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// pod gathers what one start's objects have.
type pod struct {
	Start
	settings Settings

	port     int
	data     map[string][]byte // of the Secret
	env      []corev1.EnvVar
	volumes  []corev1.Volume
	mounts   []corev1.VolumeMount
	mounted  map[string]string // by path: what is there
	claims   []*corev1.PersistentVolumeClaim
	warnings []string
}

func (p *pod) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

// DefaultPort is where container apps listen that name no port, and whose image
// does not say it either: they find it in PORT.
const DefaultPort = 8080

// template is the pod of the start.
func (p *pod) template() (t corev1.PodTemplateSpec, err error) {
	w := p.Workload
	if p.Bundle == nil && w.App.AppMode != controlplane.Container {
		return t, refuse(controlplane.ImageInvalid, "launcher kubernetes has no image for apps of mode %s", w.App.AppMode)
	}
	p.port = p.listens()
	container, err := p.container()
	if err != nil {
		return t, err
	}
	placement := p.place()
	if container.Resources, err = p.resources(cmp.Or(placement.GPU, DefaultGPU)); err != nil {
		return t, err
	}
	var no, yes = false, true
	user, group := p.identity()
	onMismatch := corev1.FSGroupChangeOnRootMismatch
	grace := int64(math.Ceil(w.StopGrace.Seconds()))
	spec := corev1.PodSpec{
		Containers:                    []corev1.Container{container},
		Volumes:                       p.volumes,
		SchedulingGates:               []corev1.PodSchedulingGate{{Name: Gate}},
		RestartPolicy:                 corev1.RestartPolicyAlways, // a Deployment allows no other
		TerminationGracePeriodSeconds: &grace,
		ServiceAccountName:            p.settings.ServiceAccount,
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		NodeSelector:                  placement.NodeSelector,
		Tolerations:                   placement.Tolerations,
		Affinity:                      placement.Affinity,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:        &yes,
			RunAsUser:           user,
			RunAsGroup:          group,
			FSGroup:             &p.settings.Group,
			FSGroupChangePolicy: &onMismatch,
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			Sysctls:             p.sysctls(),
		},
	}
	if p.Bundle != nil {
		spec.InitContainers = preparing(p.Bundle.Init, container.Resources)
	}
	if placement.RuntimeClass != "" {
		spec.RuntimeClassName = &placement.RuntimeClass
	}
	for _, name := range p.settings.PullSecrets {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	meta := p.startMeta("")
	meta.Namespace = "" // it is the Deployment's
	return corev1.PodTemplateSpec{ObjectMeta: meta, Spec: spec}, nil
}

// listens is the port of the app.
func (p *pod) listens() int {
	if p.Workload.App.Manifest.Runtime.Port == 0 && p.Image != nil && len(p.Image.Ports) == 1 {
		return p.Image.Ports[0]
	}
	return portOf(&p.Workload)
}

// portOf is where the app listens if its image does not say it.
func portOf(w *launcher.Workload) int {
	if w.App.AppMode == controlplane.Container {
		return cmp.Or(w.App.Manifest.Runtime.Port, DefaultPort)
	}
	return cmp.Or(w.App.Manifest.Runtime.Port, ownPort(w.InstanceID))
}

// The ports that apps from bundles get: below those that Linux takes for outgoing
// connections.
const (
	firstPort = 20_000
	lastPort  = 32_767
)

// ownPort is the port of an instance whose app listens where it is told to. The
// address of a pod may be another's later, while an edge that is cut off has not
// heard of it: at this port nobody else is, and the network policy lets that edge
// in at no other one.
func ownPort(instanceID string) int {
	return firstPort + int(crc32.ChecksumIEEE([]byte(instanceID))%(lastPort-firstPort+1))
}

// sysctls lets apps have the ports below 1024, which need a capability
// elsewhere. Kubernetes holds this one for safe.
func (p *pod) sysctls() []corev1.Sysctl {
	if p.port >= 1024 {
		return nil
	}
	return []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}}
}

// identity is whom the app runs as; without a group it is the one that the image
// has for the user. The kubelet runs no root, cannot tell of a name whether it is
// root's, and takes no group from an image; a group without a user it refuses.
func (p *pod) identity() (user, group *int64) {
	own := &p.settings.User
	if p.Bundle != nil || p.Image == nil || !p.Image.Known {
		return own, nil
	}
	name, of, _ := strings.Cut(p.Image.User, ":")
	uid, err := strconv.ParseInt(name, 10, 32)
	if err == nil && uid > 0 {
		if gid, err := strconv.ParseInt(of, 10, 32); err == nil && gid > 0 {
			group = &gid
		}
		return &uid, group
	}
	if name == "" || err == nil {
		name = "root"
	}
	p.warn("the image runs as %s, which is not allowed here: the app runs as user %d", name, p.settings.User)
	return own, nil
}

func (p *pod) container() (corev1.Container, error) {
	// The node runs nothing again: how often an app is started the control plane
	// decides. Kubernetes has this from 1.35 on, and leaves it out before.
	never := corev1.ContainerRestartPolicyNever
	c := corev1.Container{Name: ContainerApp, RestartPolicy: &never}
	readOnly := p.settings.ReadOnlyRoot
	if b := p.Bundle; b != nil {
		readOnly = true
		c.Image, c.Command, c.Args, c.WorkingDir = b.Image, b.Command, b.Args, b.Dir
		p.env = append(p.env, b.Env...)
		p.volumes = append(p.volumes, b.Volumes...)
		for _, m := range b.Mounts {
			if err := p.mount(m, "the bundle"); err != nil {
				return c, err
			}
		}
		for key, value := range b.Secret {
			p.data[key] = value
		}
	} else {
		rt := p.Workload.App.Manifest.Runtime
		c.Image = rt.CustomImage
		if p.Image != nil && p.Image.Reference != "" {
			c.Image = p.Image.Reference
		}
		c.Command, c.Args = literally(rt.AppEntryPoint), literally(rt.AppArgs)
	}
	if c.Image == "" {
		return c, refuse(controlplane.ImageInvalid, "the app has no image; an admin sets it with slipway admin app set-image")
	}
	for _, part := range []func() error{p.variables, p.token, p.files, p.persistent, p.scratch} {
		if err := part(); err != nil {
			return c, err
		}
	}
	c.ImagePullPolicy = pullPolicy(c.Image)
	c.Ports = []corev1.ContainerPort{{Name: PortName, ContainerPort: int32(p.port), Protocol: corev1.ProtocolTCP}}
	c.Env, c.VolumeMounts = p.env, p.mounts
	c.SecurityContext = Restricted(readOnly)
	return c, nil
}

// Restricted is what containers may; all of a pod need it.
func Restricted(readOnlyRoot bool) *corev1.SecurityContext {
	no := false
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   &readOnlyRoot,
	}
}

// literally keeps Kubernetes from replacing $(NAME) in what an app is started
// with: no other launcher does.
func literally(words []string) []string {
	var out []string
	for _, word := range words {
		out = append(out, strings.ReplaceAll(word, "$", "$$"))
	}
	return out
}

// pullPolicy asks the registry again for what may have changed since.
func pullPolicy(image string) corev1.PullPolicy {
	name := image[strings.LastIndex(image, "/")+1:]
	switch _, tag, tagged := strings.Cut(name, ":"); {
	case strings.Contains(name, "@"):
		return corev1.PullIfNotPresent
	case !tagged, tag == "latest":
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
