package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// The nodes of the test are not for others' pods, and its pods not for others'
// nodes: this label and this taint hold them together.
const (
	nodeLabel  = "slipway.test/nodes"
	placedHere = `pods {
				node_selector ` + nodeLabel + ` %[1]s
				toleration ` + nodeLabel + `
			}`
)

// The addresses of pods: all are this machine's for the test.
const addresses = "198.18.64.0/18"

// nodes are nodes whose kubelet is this test: what is scheduled there is ready
// at once, at an address of its own where the test answers.
type nodes struct {
	cluster kubernetes.Interface
	space   string
	port    string
	workers chan struct{}
	calls   sync.WaitGroup

	begun sync.Map // UIDs of pods, that have an address or are being deleted
	next  atomic.Uint32
	fail  func(error)
}

// newNodes makes n nodes for the pods of a namespace.
func newNodes(t testing.TB, h *house, n int) *nodes {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", "route", "replace", "local", addresses, "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip route: %v: %s", err, out)
	}
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Host)
	})}
	go func() { _ = server.Serve(listener) }() // ends with Close
	t.Cleanup(func() { server.Close() })
	s := &nodes{
		cluster: h.cluster, space: h.space, port: port(listener.Addr().String()), workers: make(chan struct{}, 32),
		fail: func(err error) { t.Error(err) },
	}
	for i := range n {
		s.make(t, fmt.Sprintf("%s-%d", h.space, i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactoryWithOptions(h.cluster, 0, informers.WithNamespace(h.space))
	look := func(o any) {
		if p, ok := o.(*corev1.Pod); ok {
			s.look(ctx, p)
		}
	}
	pods := factory.Core().V1().Pods().Informer()
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, o any) { look(o) }}); err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	s.calls.Go(func() { s.beat(ctx, n) })
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
		s.calls.Wait()
	})
	return s
}

// make makes a node that is ready.
func (s *nodes) make(t testing.TB, name string) {
	t.Helper()
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Ti"), corev1.ResourcePods: resource.MustParse("500"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{nodeLabel: s.space}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: nodeLabel, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Test", LastHeartbeatTime: metav1.Now()}},
		},
	}
	t.Cleanup(func() {
		if err := s.cluster.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.cluster.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &name}}
	if _, err := s.cluster.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it would go by itself only if the node owned it
		err := s.cluster.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(context.Background(), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// beat says every 10 s that the nodes are there.
func (s *nodes) beat(ctx context.Context, n int) {
	for {
		for i := range n {
			body := fmt.Appendf(nil, `{"spec":{"renewTime":%q,"leaseDurationSeconds":40}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
			_, err := s.cluster.CoordinationV1().Leases(corev1.NamespaceNodeLease).Patch(ctx, fmt.Sprintf("%s-%d", s.space, i), types.MergePatchType, body, metav1.PatchOptions{})
			if err != nil && ctx.Err() == nil {
				s.fail(err)
			}
		}
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// look does what a kubelet does for a pod: it has it run, or end.
func (s *nodes) look(ctx context.Context, p *corev1.Pod) {
	key, do := string(p.UID), s.start
	switch {
	case p.Spec.NodeName == "":
		return
	case p.DeletionTimestamp != nil:
		key, do = key+" ends", s.end
	}
	if _, done := s.begun.LoadOrStore(key, true); done {
		return
	}
	s.calls.Go(func() {
		s.workers <- struct{}{}
		defer func() { <-s.workers }()
		if err := do(ctx, p); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
			s.fail(fmt.Errorf("pod %s: %w", p.Name, err))
		}
	})
}

func (s *nodes) start(ctx context.Context, p *corev1.Pod) error {
	first := netip.MustParsePrefix(addresses).Addr().As4()
	n := s.next.Add(1)
	ip := netip.AddrFrom4([4]byte{first[0], first[1], first[2] + byte(n/250), byte(1 + n%250)}).String()
	now, yes := metav1.Now(), true
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &now}
	for _, c := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: c, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	for _, c := range p.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return s.say(ctx, p, status)
}

func (s *nodes) say(ctx context.Context, p *corev1.Pod, status corev1.PodStatus) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = s.cluster.CoreV1().Pods(s.space).Patch(ctx, p.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

// end says that the pod has ended before it is no more, as kubelets do.
func (s *nodes) end(ctx context.Context, p *corev1.Pod) error {
	now := int64(0)
	if err := s.say(ctx, p, corev1.PodStatus{Phase: corev1.PodFailed}); err != nil {
		return err
	}
	return s.cluster.CoreV1().Pods(s.space).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &p.UID}})
}
