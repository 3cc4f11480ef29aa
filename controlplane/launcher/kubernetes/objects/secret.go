package objects

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Where the instance's token is, in the container.
const (
	secretsDir = "/var/run/secrets/slipway"
	tokenFile  = secretsDir + "/token"
)

// The keys of the Secret.
const (
	keyToken  = "token"
	keyEnv    = "env."  // and the variable's name
	keyFile   = "file." // and the place in Workload.Files
	volSecret = "secret"
)

// The bounds of what an instance is given: Kubernetes' on a Secret, and Linux's
// on one string of the environment, its name included.
const (
	maxSecret   = corev1.MaxSecretSize
	maxVariable = 128<<10 - 1
)

// secretMode lets the group of the pod read; the files are root's.
const secretMode int32 = 0o440

// variables puts the environment into the Secret. Of a name that is given twice
// the last one holds.
func (p *pod) variables() error {
	at := map[string]int{}
	for i, e := range p.env {
		at[e.Name] = i
	}
	set := func(e corev1.EnvVar) {
		if i, given := at[e.Name]; given {
			p.env[i] = e
			return
		}
		at[e.Name] = len(p.env)
		p.env = append(p.env, e)
	}
	for _, entry := range p.Workload.Env {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			continue // no program could be given it
		}
		key := keyEnv + name
		if len(validation.IsConfigMapKey(key)) > 0 {
			return refuse(controlplane.BadBundle, "the name of the variable %.40s is too long for Kubernetes, or has other characters than letters, digits, '.', '-' and '_'; give it another in app.toml", name)
		}
		if len(entry) > maxVariable {
			return refuse(controlplane.BadBundle, "the variable %s has %d bytes, and Linux allows %d; give it to the app as a [[File]]", name, len(value), maxVariable-len(name)-1)
		}
		p.data[key] = []byte(value)
		set(corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: p.key(key)}})
	}
	set(corev1.EnvVar{Name: "PORT", Value: fmt.Sprint(p.port)})
	set(corev1.EnvVar{Name: "SLIPWAY_TOKEN_FILE", Value: tokenFile})
	return nil
}

func (p *pod) key(key string) *corev1.SecretKeySelector {
	return &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: p.secretName()}, Key: key,
	}
}

// token mounts the instance's token.
func (p *pod) token() error {
	p.data[keyToken] = []byte(p.Workload.Token)
	p.volumes = append(p.volumes, secretVolume(volSecret+"-token", p.secretName(), corev1.KeyToPath{Key: keyToken, Path: path.Base(tokenFile)}))
	return p.mount(corev1.VolumeMount{Name: volSecret + "-token", MountPath: secretsDir, ReadOnly: true}, "SLIPWAY_TOKEN_FILE")
}

// files mounts the manifest's [[File]]s.
func (p *pod) files() error {
	var items []corev1.KeyToPath
	for n, f := range p.Workload.Files {
		if !path.IsAbs(f.Path) && p.Bundle != nil {
			continue // it is the bundle's to bring
		}
		where, err := p.absolute(f.Path)
		if err != nil {
			return err
		}
		key := fmt.Sprint(keyFile, n)
		p.data[key] = []byte(f.Value)
		items = append(items, corev1.KeyToPath{Key: key, Path: key})
		mount := corev1.VolumeMount{Name: volSecret + "-files", MountPath: where, SubPath: key, ReadOnly: true}
		if err := p.mount(mount, "[[File]] "+f.Path); err != nil {
			return err
		}
	}
	if items != nil {
		p.volumes = append(p.volumes, secretVolume(volSecret+"-files", p.secretName(), items...))
	}
	return nil
}

// absolute is where a [[File]] is in the container. The root of a container app
// is its image's working directory.
func (p *pod) absolute(file string) (string, error) {
	if path.IsAbs(file) {
		return path.Clean(file), nil
	}
	if p.Image == nil || !p.Image.Known {
		return "", refuse(controlplane.BadBundle, "[[File]] %s is relative to the working directory of the image, which could not be asked for; write an absolute path", file)
	}
	return path.Join("/", p.Image.Dir, file), nil
}

func secretVolume(name, secret string, items ...corev1.KeyToPath) corev1.Volume {
	mode := secretMode
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secret, Items: items, DefaultMode: &mode,
	}}}
}

// fits refuses what no Secret can hold.
func (p *pod) fits() error {
	size := 0
	for _, value := range p.data { // Kubernetes counts no keys
		size += len(value)
	}
	if size > maxSecret {
		return refuse(controlplane.BadBundle, "the values of [[Env]] and [[File]] have %d bytes together, and Kubernetes takes %d; put the large ones into the image or the bundle", size, maxSecret)
	}
	return nil
}
