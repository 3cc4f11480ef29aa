package diagnose_test

import (
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// placementCauses are those of pods that find no node, or do not come to be.
var placementCauses = []cause{
	{name: "gated", provoke: pod(of(func(s *corev1.PodSpec) { s.SchedulingGates = []corev1.PodSchedulingGate{{Name: "slipway/start"}} })),
		want: want{stage: controlplane.StageQueued}},
	{name: "no cpu", provoke: pod(requests(corev1.ResourceCPU, "999")), want: waits(" without enough free CPU", "cpu 999", "Runtime.CPUReservation")},
	{name: "no memory", provoke: pod(requests(corev1.ResourceMemory, "999Ti")), want: waits("without enough free memory")},
	{name: "no disk", provoke: pod(requests(corev1.ResourceEphemeralStorage, "999Ti")), want: waits("without enough free disk")},
	{name: "no gpu", provoke: pod(requests("nvidia.com/gpu", "1")), want: waits(" without a free nvidia.com/gpu", "Runtime.GPUCount")},
	{name: "node selector", provoke: pod(of(func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"kind": "none"} })), want: waits("profile does not choose", "launch profile")},
	{name: "neighbours", provoke: pod(of(func(s *corev1.PodSpec) {
		s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"none": "yes"}}, TopologyKey: "kubernetes.io/hostname"},
		}}}
	})), want: waits("rules about neighbours")},
	{name: "claim absent", provoke: pod(claimed), want: waits("missing in the cluster")},
	{name: "claim without class", provoke: func(s *scenario) { none := ""; s.claim(&none, ""); s.run(claimed) },
		want: want{stage: controlplane.StageQueued, code: controlplane.NoCapacity, says: []string{"no default storage class", "storage_class"}, text: "volume"}},
	{name: "claim of no class", provoke: func(s *scenario) { none := "none"; s.claim(&none, ""); s.run(claimed) },
		want: want{stage: controlplane.StageQueued, code: controlplane.NoCapacity, says: []string{"storage class", "not there"}, text: "volume"}},
	{name: "claim bound", provoke: func(s *scenario) { s.claim(nil, ""); s.run(claimed) }, want: want{stage: controlplane.StageStarting}},
	{name: "volume elsewhere", provoke: func(s *scenario) { s.elsewhere(); s.run(claimed) }, want: waits("where its volume is not")},
	{name: "volume unmountable", provoke: pod(volume(corev1.VolumeSource{HostPath: directory("/nonexistent")})),
		want: want{stage: controlplane.StageScheduled, code: controlplane.LauncherDown, says: []string{"cannot mount"}, text: "volumes"}},
	{name: "no sandbox", provoke: func(s *scenario) {
		s.runtime()
		s.run(of(func(spec *corev1.PodSpec) { spec.RuntimeClassName = &s.space }))
	},
		want: want{stage: controlplane.StageScheduled, code: controlplane.LauncherDown, says: []string{"sandbox"}, text: "network"}},

	{name: "quota", provoke: func(s *scenario) { s.quota("pods", "0"); s.deploy() },
		want: want{stage: controlplane.StageQueued, code: controlplane.Quota, says: []string{"pods=1", "pods=0"}, text: "quota"}},
	{name: "quota of limits", provoke: func(s *scenario) { s.quota("limits.memory", "1Gi"); s.deploy() },
		want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.Quota, says: []string{"limits.memory", "Runtime.MemoryLimit"}}},
	{name: "pod security", labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, provoke: func(s *scenario) { s.deploy(asRoot) },
		want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown, says: []string{"Pod Security", "runAsNonRoot"}}},
	{name: "limit range", provoke: func(s *scenario) { s.limitRange(); s.deploy(limits(corev1.ResourceMemory, "64Mi")) },
		want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.Quota, says: []string{"maximum memory", "32Mi"}}},
	{name: "service account", provoke: func(s *scenario) { s.deploy(of(func(spec *corev1.PodSpec) { spec.ServiceAccountName = "none" })) },
		want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown, says: []string{"service account"}}},
	{name: "priority class", provoke: func(s *scenario) { s.deploy(of(func(spec *corev1.PodSpec) { spec.PriorityClassName = "none" })) },
		want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown, says: []string{"priority class"}}},
	{name: "deployed", provoke: func(s *scenario) { s.deploy() }, want: want{stage: controlplane.StageStarting}},

	{name: "too large for its node", provoke: pod(requests(corev1.ResourceCPU, "999"), func(s *scenario, p *corev1.Pod) { p.Spec.NodeName = s.node }),
		want: want{stage: controlplane.StageScheduled, ended: true, code: controlplane.NoCapacity, says: []string{"could not take it after all"}}},
	{name: "wrong node", provoke: pod(func(s *scenario, p *corev1.Pod) {
		p.Spec.NodeName, p.Spec.NodeSelector = s.node, map[string]string{"kind": "none"}
	}), want: want{stage: controlplane.StageScheduled, ended: true, code: controlplane.NoCapacity, says: []string{"could not take it after all"}}},
	{name: "sysctl", provoke: pod(of(func(s *corev1.PodSpec) {
		s.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "kernel.msgmax", Value: "65536"}}
	})),
		want: want{stage: controlplane.StageScheduled, ended: true, code: controlplane.LauncherDown, says: []string{"sysctl"}}},
}

// waits is for a pod that waits for a node.
func waits(says ...string) want {
	return want{stage: controlplane.StageQueued, code: controlplane.NoCapacity, says: says, text: "waits for a machine"}
}

func directory(path string) *corev1.HostPathVolumeSource {
	kind := corev1.HostPathDirectory
	return &corev1.HostPathVolumeSource{Path: path, Type: &kind}
}

func (s *scenario) secret(key string) {
	s.Helper()
	_, err := s.CoreV1().Secrets(s.space).Create(s.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "i-app"}, StringData: map[string]string{key: "open sesame"},
	}, metav1.CreateOptions{})
	s.must(err)
}

// elsewhere is a volume of a node that is not there, and a claim of it.
func (s *scenario) elsewhere() {
	s.Helper()
	_, err := s.CoreV1().PersistentVolumes().Create(s.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: s.space},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              "elsewhere",
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: directory("/nonexistent")},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "kubernetes.io/hostname", Operator: corev1.NodeSelectorOpIn, Values: []string{"another"}}},
			}}}},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	s.after(func() error {
		return s.CoreV1().PersistentVolumes().Delete(cleaning, s.space, metav1.DeleteOptions{})
	})
	class := "elsewhere"
	s.claim(&class, s.space)
}

// runtime is a runtime class that no node has.
func (s *scenario) runtime() {
	s.Helper()
	_, err := s.NodeV1().RuntimeClasses().Create(s.Context(), &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.space}, Handler: "none"}, metav1.CreateOptions{})
	s.must(err)
	s.after(func() error {
		return s.NodeV1().RuntimeClasses().Delete(cleaning, s.space, metav1.DeleteOptions{})
	})
}

func (s *scenario) quota(name corev1.ResourceName, hard string) {
	s.Helper()
	quotas := s.CoreV1().ResourceQuotas(s.space)
	_, err := quotas.Create(s.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "quota"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{name: resource.MustParse(hard)}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.until("the quota is counted", func() bool {
		q, err := quotas.Get(s.Context(), "quota", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
}

func (s *scenario) limitRange() {
	s.Helper()
	_, err := s.CoreV1().LimitRanges(s.space).Create(s.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "limits"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
		}}},
	}, metav1.CreateOptions{})
	s.must(err)
}
