package scale

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

var rounds = flag.Int("rounds", 30, "how often an instance is woken, and a bare Deployment scaled")

// BenchmarkWake wakes an instance by a visit and puts it to sleep by the API; in
// turns with it, a Deployment of the same pod that Slipway knows nothing of is
// scaled from 0 to 1 and back. Share is what of a wake is Slipway's:
//
//   - begin: from the visit to the change of the Deployment,
//   - gate: from the pod that the cluster has made to the one that may be
//     scheduled,
//   - end: from the pod that runs, as the API server tells, and whose port is
//     open, as the app tells, to the first byte at the visitor.
//
// The rest is the cluster's: make takes the pod's making, schedule and run what
// they say. A scaled Deployment is answered once its pod, asked all the time,
// answers a request.
func BenchmarkWake(b *testing.B) {
	h := newHouse(b, slipwaytest.NeedsCluster(b), func(string) string { return "" })
	reference, err := clustertest.Testapp()
	if err != nil {
		b.Fatal(err)
	}
	app := h.imports(b, slipwaytest.App{Name: "sleeper", Runtime: container(reference, "8080"), Env: map[string]string{"LISTEN_ON": "0.0.0.0"}})
	id, err := h.run(b.Context(), app)
	if err != nil {
		b.Fatal(err)
	}
	s := newSight(b, h)
	h.copyDeployment(b, id)
	figures := map[string][]time.Duration{}
	var ratios []float64
	for round := range *rounds {
		bare := h.scale(b, s, figures)
		if err := h.sleep(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		visit := h.wake(b, s, id, figures)
		b.Logf("round %d: scaled %s, woken %s", round+1, bare.Round(time.Millisecond), visit.Round(time.Millisecond))
		ratios = append(ratios, float64(visit)/float64(bare))
	}
	for name, of := range figures {
		b.ReportMetric(percentile(of, 0.5), name+"-p50-ms")
	}
	b.ReportMetric(percentile(figures["share"], 0.99), "share-p99-ms")
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "visit/bare")
	b.ReportMetric(0, "ns/op")
}

// wake wakes an instance that sleeps, and returns how long its visitor waited.
func (h *house) wake(b *testing.B, s *sight, id string, figures map[string][]time.Duration) time.Duration {
	b.Helper()
	s.clear(id)
	began := time.Now()
	status, body, err := h.visit(b.Context(), hostOf(id), "/")
	ended := time.Now()
	if err != nil || status != http.StatusOK {
		b.Fatalf("a visit: %d, %v, %.200s", status, err, body)
	}
	seen := s.await(b, id, running)
	open := latest(seen[running], listening(b, body))
	add := func(name string, d time.Duration) { figures[name] = append(figures[name], d) }
	begin, gate, end := seen[scaled].Sub(began), seen[let].Sub(seen[made]), ended.Sub(open)
	add("begin", begin)
	add("make", seen[made].Sub(seen[scaled]))
	add("gate", gate)
	add("schedule", seen[scheduled].Sub(seen[let]))
	add("run", open.Sub(seen[scheduled]))
	add("end", end)
	add("share", begin+gate+end)
	add("visit", ended.Sub(began))
	return ended.Sub(began)
}

// bare is the Deployment beside the instance's, and the owner of its pods.
const bare = "bare"

// copyDeployment makes a Deployment of the pod of an instance, without a gate.
func (h *house) copyDeployment(b *testing.B, id string) {
	b.Helper()
	all, err := h.cluster.AppsV1().Deployments(h.space).List(b.Context(), metav1.ListOptions{LabelSelector: objects.LabelInstance + "=" + id})
	if err != nil || len(all.Items) != 1 {
		b.Fatalf("%d deployments, %v", len(all.Items), err)
	}
	labels := map[string]string{barely: bare}
	none := int32(0)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: bare, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Strategy: all.Items[0].Spec.Strategy, Template: all.Items[0].Spec.Template,
		},
	}
	d.Spec.Template.ObjectMeta = metav1.ObjectMeta{Labels: labels}
	d.Spec.Template.Spec.SchedulingGates = nil
	h.ownSecret(b, &d.Spec.Template.Spec)
	if _, err := h.cluster.AppsV1().Deployments(h.space).Create(b.Context(), d, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}

// ownSecret gives a pod a copy of the Secret that it names: the instance's is that
// of a start, and goes with it.
func (h *house) ownSecret(b *testing.B, pod *corev1.PodSpec) {
	b.Helper()
	name := ""
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			name, v.Secret.SecretName = v.Secret.SecretName, bare
		}
	}
	for _, e := range pod.Containers[0].Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			e.ValueFrom.SecretKeyRef.Name = bare
		}
	}
	secrets := h.cluster.CoreV1().Secrets(h.space)
	secret, err := secrets.Get(b.Context(), name, metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	secret.ObjectMeta = metav1.ObjectMeta{Name: bare}
	if _, err := secrets.Create(b.Context(), secret, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}

// scale scales the bare Deployment to 1, and back once it answers. It returns
// how long that took.
func (h *house) scale(b *testing.B, s *sight, figures map[string][]time.Duration) time.Duration {
	b.Helper()
	s.clear(bare)
	began := time.Now()
	h.replicas(b, 1)
	seen := s.await(b, bare, running)
	pods, err := h.cluster.CoreV1().Pods(h.space).List(b.Context(), metav1.ListOptions{LabelSelector: barely + "=" + bare})
	if err != nil || len(pods.Items) != 1 {
		b.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	var open, answered time.Time
	slipwaytest.Eventually(b, "the pod answers", func() bool {
		a, err := http.Get("http://" + net.JoinHostPort(pods.Items[0].Status.PodIP, "8080"))
		if err != nil {
			return false
		}
		defer a.Body.Close()
		answered = time.Now()
		var body json.RawMessage
		err = json.NewDecoder(a.Body).Decode(&body)
		open = listening(b, body)
		return err == nil
	})
	http.DefaultClient.CloseIdleConnections()
	open = latest(seen[running], open)
	for name, d := range map[string]time.Duration{
		"bare": answered.Sub(began), "bare-make": seen[made].Sub(began), "bare-schedule": seen[scheduled].Sub(seen[made]), "bare-run": open.Sub(seen[scheduled]),
	} {
		figures[name] = append(figures[name], d)
	}
	h.replicas(b, 0)
	s.await(b, bare, gone)
	return answered.Sub(began)
}

func (h *house) replicas(b *testing.B, n int) {
	b.Helper()
	body := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n)
	if _, err := h.cluster.AppsV1().Deployments(h.space).Patch(b.Context(), bare, types.MergePatchType, body, metav1.PatchOptions{}, "scale"); err != nil {
		b.Fatal(err)
	}
}

// listening is since when the app for tests says that its port is open.
func listening(b *testing.B, answer []byte) time.Time {
	b.Helper()
	var told struct {
		Listening int64 `json:"listening_ns"`
	}
	if err := json.Unmarshal(answer, &told); err != nil {
		b.Fatal(err)
	}
	return time.Unix(0, told.Listening)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// percentile is in milliseconds.
func percentile(of []time.Duration, share float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return float64(sorted[int(share*float64(len(sorted)-1))].Microseconds()) / 1000
}
