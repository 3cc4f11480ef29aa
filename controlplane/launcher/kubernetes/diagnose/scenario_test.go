package diagnose_test

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scenario is a namespace of a real cluster in which a cause is provoked.
type scenario struct {
	*testing.T
	*cluster
	space string
	seen  *recording
}

type change func(*scenario, *corev1.Pod)

// victim is a pod like those of instances.
func (s *scenario) victim(name string, changes ...change) *corev1.Pod {
	no, yes, grace := false, true, int64(1)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: &no, EnableServiceLinks: &no, TerminationGracePeriodSeconds: &grace,
			SecurityContext: &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "app", Image: s.images.host + "/victim:1", Args: []string{"serve"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, RunAsNonRoot: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	for _, c := range changes {
		c(s, p)
	}
	return p
}

// run makes the pod.
func (s *scenario) run(changes ...change) *corev1.Pod {
	s.Helper()
	return s.create(s.victim("i-app", changes...))
}

func (s *scenario) create(p *corev1.Pod) *corev1.Pod {
	s.Helper()
	made, err := s.CoreV1().Pods(s.space).Create(s.Context(), p, metav1.CreateOptions{})
	s.must(err)
	return made
}

// deploy makes a deployment of the pod.
func (s *scenario) deploy(changes ...change) {
	s.Helper()
	p := s.victim("i-app", changes...)
	_, err := s.AppsV1().Deployments(s.space).Create(s.Context(), &appsv1.Deployment{
		ObjectMeta: p.ObjectMeta,
		Spec: appsv1.DeploymentSpec{
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Selector: &metav1.LabelSelector{MatchLabels: p.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: p.Labels}, Spec: p.Spec},
		},
	}, metav1.CreateOptions{})
	s.must(err)
}

func (s *scenario) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// untilRunning waits for the app's container.
func (s *scenario) untilRunning() {
	s.Helper()
	s.until("the app runs", func() bool { return s.seen.verdict().Running })
}

func (s *scenario) until(what string, holds func() bool) {
	s.Helper()
	for limit := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			s.Fatalf("not so within two minutes: %s; %+v", what, s.seen.verdict())
		}
	}
}

func (s *scenario) delete(pod string) {
	s.Helper()
	s.must(s.CoreV1().Pods(s.space).Delete(s.Context(), pod, metav1.DeleteOptions{}))
}

func (s *scenario) evict(pod string) {
	s.Helper()
	s.must(s.PolicyV1().Evictions(s.space).Evict(s.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: s.space}}))
}

// claim makes a claim of a storage class; nil: the default one.
func (s *scenario) claim(class *string, volume string) {
	s.Helper()
	_, err := s.CoreV1().PersistentVolumeClaims(s.space).Create(s.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "i-app-volume"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class, VolumeName: volume,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
}

// What pods differ in.

func args(words ...string) change {
	return func(_ *scenario, p *corev1.Pod) { p.Spec.Containers[0].Args = words }
}

func command(words ...string) change {
	return func(_ *scenario, p *corev1.Pod) { p.Spec.Containers[0].Command, p.Spec.Containers[0].Args = words, nil }
}

// pulls takes an image of the registry.
func pulls(tag string) change {
	return func(s *scenario, p *corev1.Pod) { p.Spec.Containers[0].Image = s.images.host + "/" + tag }
}

func named(image string) change {
	return func(_ *scenario, p *corev1.Pod) { p.Spec.Containers[0].Image = image }
}

func requests(name corev1.ResourceName, quantity string) change {
	return func(_ *scenario, p *corev1.Pod) {
		list := corev1.ResourceList{name: resource.MustParse(quantity)}
		p.Spec.Containers[0].Resources.Requests = list
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory {
			p.Spec.Containers[0].Resources.Limits = list
		}
	}
}

func limits(name corev1.ResourceName, quantity string) change {
	return func(_ *scenario, p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{name: resource.MustParse(quantity)}
	}
}

func rooted(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.RunAsNonRoot = nil }

func asRoot(_ *scenario, p *corev1.Pod) { rooted(p) }

func volume(source corev1.VolumeSource) change {
	return func(_ *scenario, p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "kept", VolumeSource: source})
		p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "kept", MountPath: "/kept"})
	}
}

func claimed(_ *scenario, p *corev1.Pod) {
	volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "i-app-volume"}})(nil, p)
}

// prepares puts an init container before the app.
func prepares(name string, words ...string) change {
	return func(s *scenario, p *corev1.Pod) {
		c := *p.Spec.Containers[0].DeepCopy()
		c.Name, c.Args = name, words
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
}

func of(spec func(*corev1.PodSpec)) change {
	return func(_ *scenario, p *corev1.Pod) { spec(&p.Spec) }
}
