package controlmodule

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// KubernetesPods is what the launcher kubernetes makes of instances. A change of
// any of it needs a restart, and holds for starts after it.
type KubernetesPods struct {
	// The service account of the pods, of which they get no token. Default: the
	// namespace's "default".
	ServiceAccount string `json:"service_account,omitempty"`
	// Secrets of type kubernetes.io/dockerconfigjson in the namespace, with which
	// images are pulled. Default: none.
	PullSecrets []string `json:"pull_secrets,omitempty"`
	// The user of images that name none, root, or one by name. Default: 65532.
	User int64 `json:"user,omitempty"`
	// The group that volumes and secrets belong to. Default: 65532.
	Group int64 `json:"group,omitempty"`
	// Whether container apps write their volumes and /tmp alone. Default: they may
	// write what their image lets their user write. Apps from bundles never may.
	ReadOnlyRoot bool `json:"read_only_root,omitempty"`
	// The storage class of volumes. Default: the cluster's.
	StorageClass string `json:"storage_class,omitempty"`
	// The access mode of volumes: ReadWriteOnce, ReadWriteOncePod or ReadWriteMany.
	// Default: ReadWriteOnce.
	AccessMode corev1.PersistentVolumeAccessMode `json:"access_mode,omitempty"`
	// The size of the /dev/shm of apps that ask for it by Runtime.EnableSHM, in
	// bytes. It counts as their memory. Default: 2 GiB.
	SHM int64 `json:"shm,omitempty"`
	// How much an instance may write to /tmp and to its own files outside of
	// volumes, in bytes. Past it, it is ended. Default: 10 GiB.
	Scratch int64 `json:"scratch,omitempty"`

	// Where all pods are placed. Default: wherever the scheduler likes.
	Pods *KubernetesPlacement `json:"pods,omitempty"`
	// Where those of apps with this Runtime.GPUType are placed, beside that.
	GPUs map[string]KubernetesPlacement `json:"gpus,omitempty"`
	// Where those on this runtime version are placed, beside that.
	Runtimes map[string]KubernetesPlacement `json:"runtimes,omitempty"`
	// Where those with this launch profile are placed, beside that.
	Profiles map[string]KubernetesPlacement `json:"profiles,omitempty"`

	// Whom instances may talk to. Default: pods that are no instances reach them at
	// their app's port, and they reach name servers and the internet.
	Network *KubernetesNetwork `json:"network,omitempty"`
}

// kubernetesPodsSettings are its settings, for messages.
const kubernetesPodsSettings = "service_account, pull_secret, user, group, read_only_root, storage_class, access_mode, shm, scratch, " +
	"pods, gpu, runtime, profile and network"

// setting reads the one whose name was read last, if it is one of these:
//
//	service_account NAME
//	pull_secret NAME …
//	user NUMBER
//	group NUMBER
//	read_only_root
//	storage_class NAME
//	access_mode MODE
//	shm SIZE
//	scratch SIZE
//	pods { … }           # see KubernetesPlacement
//	gpu TYPE { … }
//	runtime NAME { … }
//	profile NAME { … }
//	network off|{ … }    # see KubernetesNetwork
func (k *KubernetesPods) setting(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "service_account":
		return true, word(d, &k.ServiceAccount)
	case "pull_secret":
		names := d.RemainingArgs()
		if len(names) == 0 {
			return true, d.ArgErr()
		}
		k.PullSecrets = append(k.PullSecrets, names...)
	case "user":
		return true, number(d, "user", &k.User)
	case "group":
		return true, number(d, "group", &k.Group)
	case "read_only_root":
		if d.NextArg() {
			return true, d.ArgErr()
		}
		k.ReadOnlyRoot = true
	case "storage_class":
		return true, word(d, &k.StorageClass)
	case "access_mode":
		return true, word(d, (*string)(&k.AccessMode))
	case "shm":
		return true, size(d, &k.SHM)
	case "scratch":
		return true, size(d, &k.Scratch)
	case "pods":
		if d.NextArg() {
			return true, d.ArgErr()
		}
		p, err := readPlacement(d, "pods")
		k.Pods = &p
		return true, err
	case "gpu":
		return true, namedPlacement(d, &k.GPUs)
	case "runtime":
		return true, namedPlacement(d, &k.Runtimes)
	case "profile":
		return true, namedPlacement(d, &k.Profiles)
	case "network":
		return true, k.network(d)
	default:
		return false, nil
	}
	return true, nil
}

func word(d *caddyfile.Dispenser, into *string) error {
	if !d.Args(into) || d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

func number(d *caddyfile.Dispenser, of string, into *int64) error {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return d.Errf("%q is not the number of a %s from 1 on; root is not allowed", text, of)
	}
	*into = n
	return nil
}

func size(d *caddyfile.Dispenser, into *int64) (err error) {
	var text string
	if err := word(d, &text); err != nil {
		return err
	}
	if *into, err = caddymodule.ParseBytes(text); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// noName is what is told of what cannot be the name of an object.
const noName = "is not a name in Kubernetes: it has lower-case letters, digits, '-' and '.', and begins and ends with a letter or digit"

// accessModes are those with which one pod can write.
var accessModes = []corev1.PersistentVolumeAccessMode{"", corev1.ReadWriteOnce, corev1.ReadWriteOncePod, corev1.ReadWriteMany}

// validate names every fault. The instances are in that namespace.
func (k *KubernetesPods) validate(namespace string) error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("launcher kubernetes: "+format, args...))
	}
	for _, n := range []struct {
		what string
		n    int64
	}{{"user", k.User}, {"group", k.Group}} {
		if n.n < 0 || n.n > math.MaxInt32 {
			add("%s %d is not from 1 to %d; root is not allowed", n.what, n.n, math.MaxInt32)
		}
	}
	for _, n := range []struct {
		what string
		n    int64
	}{{"shm", k.SHM}, {"scratch", k.Scratch}} {
		if n.n < 0 {
			add("%s %d is not a number of bytes above 0", n.what, n.n)
		}
	}
	if !slices.Contains(accessModes, k.AccessMode) {
		add("access_mode %s is none of ReadWriteOnce, ReadWriteOncePod and ReadWriteMany", k.AccessMode)
	}
	type named struct{ setting, name string }
	names := []named{{"service_account", k.ServiceAccount}, {"storage_class", k.StorageClass}}
	for _, secret := range k.PullSecrets {
		names = append(names, named{"pull_secret", secret})
	}
	for _, n := range names {
		if n.name != "" && len(validation.IsDNS1123Subdomain(n.name)) > 0 {
			add("%s %q "+noName, n.setting, n.name)
		}
	}
	if k.Pods != nil {
		errs = append(errs, k.Pods.validate("pods"))
	}
	for _, of := range []struct {
		setting string
		all     map[string]KubernetesPlacement
	}{{"gpu", k.GPUs}, {"runtime", k.Runtimes}, {"profile", k.Profiles}} {
		for _, name := range slices.Sorted(maps.Keys(of.all)) {
			errs = append(errs, new(of.all[name]).validate(of.setting+" "+name))
		}
	}
	if n := k.Network.objects(); n != nil {
		if err := n.Check(namespace); err != nil {
			add("%w", err)
		}
	}
	return errors.Join(errs...)
}

// objects are the settings for instances in a namespace.
func (k *KubernetesPods) objects(namespace string) objects.Settings {
	s := objects.Settings{
		Namespace: namespace, ServiceAccount: k.ServiceAccount, PullSecrets: k.PullSecrets,
		User: k.User, Group: k.Group, ReadOnlyRoot: k.ReadOnlyRoot,
		StorageClass: k.StorageClass, AccessMode: k.AccessMode,
		SharedMemory: *resource.NewQuantity(k.SHM, resource.BinarySI), Scratch: *resource.NewQuantity(k.Scratch, resource.BinarySI),
		Network: k.Network.objects(),
		GPUs:    placements(k.GPUs), Runtimes: placements(k.Runtimes), Profiles: placements(k.Profiles),
	}
	if k.Pods != nil {
		s.Every = k.Pods.objects()
	}
	return s
}
