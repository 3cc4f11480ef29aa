package objects

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Settings are what an operator says of the objects of all instances. The zero
// value but for Namespace is good.
type Settings struct {
	// Namespace is where instances live; nothing but instances should.
	Namespace string
	// ServiceAccount is the pods' service account, of which they get no token;
	// empty is the namespace's "default".
	ServiceAccount string
	// PullSecrets are names of Secrets of type kubernetes.io/dockerconfigjson.
	PullSecrets []string

	// User is the user of images that name none, root, or one by name; 0 is 65532.
	User int64
	// Group is the group that volumes and secrets belong to; 0 is 65532.
	Group int64
	// ReadOnlyRoot lets container apps write their volumes and /tmp alone.
	// Without it they may write what their image lets their user write; bundles
	// never may.
	ReadOnlyRoot bool

	// StorageClass of volumes; empty is the cluster's default.
	StorageClass string
	// AccessMode of volumes; empty is ReadWriteOnce.
	AccessMode corev1.PersistentVolumeAccessMode
	// SharedMemory is the size of the /dev/shm that Runtime.EnableSHM asks for;
	// zero is 2Gi. It counts as memory of the app.
	SharedMemory resource.Quantity
	// Scratch bounds what an instance writes to /tmp and to its own files outside
	// volumes, its log included; zero is 10Gi. Past it the pod is evicted.
	Scratch resource.Quantity

	// Network bounds whom instances talk to; nil: nothing of ours does.
	Network *Network

	// Every places all pods; the others are added to it in this order: GPUs by
	// Runtime.GPUType, Runtimes by the name of the runtime version, Profiles by
	// that of the launch profile.
	Every    Placement
	GPUs     map[string]Placement
	Runtimes map[string]Placement
	Profiles map[string]Placement
}

// The defaults of Settings.
const (
	DefaultUser         = 65532 // "nonroot" of the distroless images
	DefaultSharedMemory = "2Gi"
	DefaultScratch      = "10Gi"
)

func (s Settings) withDefaults() Settings {
	s.User, s.Group = cmp.Or(s.User, DefaultUser), cmp.Or(s.Group, DefaultUser)
	s.AccessMode = cmp.Or(s.AccessMode, corev1.ReadWriteOnce)
	if s.SharedMemory.IsZero() {
		s.SharedMemory = resource.MustParse(DefaultSharedMemory)
	}
	if s.Scratch.IsZero() {
		s.Scratch = resource.MustParse(DefaultScratch)
	}
	return s
}
