package objects

import (
	"errors"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// Start is what is to be run.
type Start struct {
	Workload launcher.Workload
	Epoch    int64  // of the leader that begins it
	Image    *Image // of container apps: what is known of it; nil: its name alone
	Bundle   *Bundle
}

// Image is what is known of a container app's image beyond its name.
type Image struct {
	// Reference is the name to run, with its digest where that was found; empty is
	// Runtime.CustomImage as it is.
	Reference string
	// User, Dir, Ports and Volumes are those of the image's configuration, if
	// Known: "uid[:gid]", a name or nothing; an absolute path or nothing; TCP
	// ports; paths that the image wants to write.
	Known   bool
	User    string
	Dir     string
	Ports   []int
	Volumes []string
}

// Set is the objects of one start, each with its kind, its name and its labels.
type Set struct {
	Owner      *corev1.ConfigMap
	Secret     *corev1.Secret
	Deployment *appsv1.Deployment
	Service    *corev1.Service
	// Claims are made once and then left alone: most of a claim cannot be changed.
	Claims []*corev1.PersistentVolumeClaim
	// Port is where the app listens.
	Port int
	// Warnings are for launcher.Fact, the workload's own first.
	Warnings []string
}

// Make says what objects a start has. The error is a *launcher.StartError where
// the app is to blame.
func Make(start Start, s Settings) (*Set, error) {
	w := &start.Workload
	if err := w.Complete(); err != nil {
		return nil, err
	}
	if s.Namespace == "" {
		return nil, errors.New("make objects: no namespace is set")
	}
	if faults := validation.IsDNS1035Label(Name(w.InstanceID)); len(faults) > 0 || len(ResourcesName(w.InstanceID)) > validation.LabelValueMaxLength {
		return nil, fmt.Errorf("make objects: the instance's ID %q cannot be a part of names in Kubernetes", w.InstanceID)
	}
	p := &pod{Start: start, settings: s.withDefaults(), data: map[string][]byte{}, mounted: map[string]string{}}
	p.warnings = append(p.warnings, w.Warnings...)
	template, err := p.template()
	if err != nil {
		return nil, err
	}
	if err := p.fits(); err != nil {
		return nil, err
	}
	set := &Set{
		Owner:      &corev1.ConfigMap{TypeMeta: kind("v1", "ConfigMap"), ObjectMeta: p.meta(Name(w.InstanceID))},
		Secret:     &corev1.Secret{TypeMeta: kind("v1", "Secret"), ObjectMeta: p.startMeta(p.secretName()), Type: corev1.SecretTypeOpaque, Data: p.data},
		Deployment: p.deployment(template),
		Service:    p.service(),
		Claims:     p.claims,
		Port:       p.port,
		Warnings:   p.warnings,
	}
	return set, nil
}

// OwnedBy has all objects but the owner refer to it. It is known by its UID once
// it has been applied.
func (s *Set) OwnedBy(uid types.UID) {
	yes := true
	owner := []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "ConfigMap", Name: s.Owner.Name, UID: uid, BlockOwnerDeletion: &yes,
	}}
	s.Secret.OwnerReferences = owner
	s.Deployment.OwnerReferences = owner
	s.Service.OwnerReferences = owner
	for _, claim := range s.Claims {
		claim.OwnerReferences = owner
	}
}

func kind(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

// meta is that of an object which outlives the start.
func (p *pod) meta(name string) metav1.ObjectMeta {
	w := p.Workload
	return metav1.ObjectMeta{
		Name: name, Namespace: p.settings.Namespace,
		Labels:      map[string]string{LabelManagedBy: Manager, LabelInstance: w.InstanceID, LabelApp: w.App.ID},
		Annotations: map[string]string{AnnotationAppName: w.App.Name, AnnotationAppVersion: w.App.Version},
	}
}

// startMeta is that of an object which belongs to the start alone.
func (p *pod) startMeta(name string) metav1.ObjectMeta {
	meta := p.meta(name)
	meta.Labels[LabelGeneration] = strconv.FormatInt(p.Workload.Generation, 10)
	meta.Labels[LabelEpoch] = strconv.FormatInt(p.Epoch, 10)
	return meta
}

func (p *pod) secretName() string {
	return SecretName(p.Workload.InstanceID, p.Workload.Generation)
}

func (p *pod) deployment(template corev1.PodTemplateSpec) *appsv1.Deployment {
	var one, none int32 = 1, 0
	return &appsv1.Deployment{
		TypeMeta:   kind("apps/v1", "Deployment"),
		ObjectMeta: p.startMeta(Name(p.Workload.InstanceID)),
		Spec: appsv1.DeploymentSpec{
			Replicas:             &one,
			RevisionHistoryLimit: &none, // nobody rolls an instance back
			Selector:             &metav1.LabelSelector{MatchLabels: map[string]string{LabelInstance: p.Workload.InstanceID}},
			Strategy:             appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template:             template,
		},
	}
}

func (p *pod) service() *corev1.Service {
	return &corev1.Service{
		TypeMeta:   kind("v1", "Service"),
		ObjectMeta: p.meta(Name(p.Workload.InstanceID)),
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeClusterIP,
			Selector: map[string]string{LabelInstance: p.Workload.InstanceID},
			Ports: []corev1.ServicePort{{
				Name: PortName, Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromString(PortName),
			}},
		},
	}
}

// refuse is why a start cannot be.
func refuse(code controlplane.ReasonCode, format string, args ...any) error {
	return &launcher.StartError{Reason: controlplane.Reason{Code: code, Text: fmt.Sprintf(format, args...)}}
}
