package objects

import (
	"strconv"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Manager is the field manager of everything that Slipway applies.
const Manager = "slipway"

// Gate is the scheduling gate of instances' pods, see the package.
const Gate = "slipway/start"

// The labels. Instance is on every object of an instance, the next three are on
// its pods and its Deployment.
const (
	LabelInstance   = "slipway/instance"   // its ID
	LabelGeneration = "slipway/generation" // of the start, decimal
	LabelEpoch      = "slipway/epoch"      // of the leader that began the start, decimal
	LabelApp        = "slipway/app"        // the app's ID
	LabelManagedBy  = "app.kubernetes.io/managed-by"
)

// The annotations, for people who look at the cluster.
const (
	AnnotationAppName    = "slipway/app-name"
	AnnotationAppVersion = "slipway/app-version"
)

// The names of the containers of a pod. The first is the app's own; the others
// are init containers of apps that come as bundles.
const (
	ContainerApp          = "app"
	ContainerBundle       = "bundle"
	ContainerDependencies = "dependencies"
)

// PortName is what every pod and Service calls the port of the app.
const PortName = "app"

// Name is the name of an instance's owner, Deployment and Service.
func Name(instanceID string) string { return "i-" + instanceID }

// SecretName is the name of the Secret of one start: what a leader writes late
// that is none any more is not read by the start of another.
func SecretName(instanceID string, generation int64) string {
	return Name(instanceID) + "-" + strconv.FormatInt(generation, 10)
}

// VolumeName is the name of the claim for Runtime.VolumeMount.
func VolumeName(instanceID string) string { return Name(instanceID) + "-volume" }

// ResourcesName is the name of the claim for Runtime.ResourceVolumeSize.
func ResourcesName(instanceID string) string { return Name(instanceID) + "-resources" }

// Selector selects everything of all instances.
func Selector() labels.Selector {
	instance, err := labels.NewRequirement(LabelInstance, selection.Exists, nil)
	if err != nil {
		panic(err) // the label is a constant
	}
	return labels.SelectorFromSet(labels.Set{LabelManagedBy: Manager}).Add(*instance)
}

// InstanceSelector selects everything of one instance.
func InstanceSelector(instanceID string) labels.Selector {
	return labels.SelectorFromSet(labels.Set{LabelInstance: instanceID})
}

// Generation reads LabelGeneration; 0 where there is none.
func Generation(of map[string]string) int64 { return number(of[LabelGeneration]) }

// Epoch reads LabelEpoch; 0 where there is none.
func Epoch(of map[string]string) int64 { return number(of[LabelEpoch]) }

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
