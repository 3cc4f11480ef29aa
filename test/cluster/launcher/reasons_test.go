package launcher_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

// The behaviours that only these tests have.
const (
	leaves launchertest.Behaviour = "leaves" // ends with exit code 0 before it serves
	eats   launchertest.Behaviour = "eats"   // takes 256 MiB of memory
	fills  launchertest.Behaviour = "fills"  // writes 32 MiB to /tmp
)

var behaviours = map[launchertest.Behaviour]func(){
	leaves: func() {},
	eats: func() {
		var held [256][]byte
		for i := range held {
			held[i] = make([]byte, 1<<20)
			for j := range held[i] {
				held[i][j] = 1
			}
		}
		<-time.After(time.Hour)
		fmt.Println(len(held))
	},
	fills: func() {
		if err := os.WriteFile("/tmp/big", make([]byte, 32<<20), 0o600); err != nil {
			fmt.Println(err)
		}
		<-time.After(time.Hour)
	},
}

// attempt is a start that is to fail.
type attempt struct {
	y          *yard
	w          launcher.Workload
	cfg        kubernetes.Config
	registry   string
	afterwards func() // once the start has begun
}

func (a *attempt) runtime() *controlplane.Runtime { return &a.w.App.Manifest.Runtime }

func behaves(b launchertest.Behaviour) func(*testing.T, *attempt) {
	return func(_ *testing.T, a *attempt) {
		for i, e := range a.w.Env {
			if strings.HasPrefix(e, launchertest.EnvBehaviour+"=") {
				a.w.Env[i] = launchertest.EnvBehaviour + "=" + string(b)
			}
		}
	}
}

// TestReasons provokes what keeps instances from starting, and holds that it is
// told as what it is.
func TestReasons(t *testing.T) {
	// A registry of which only refusals are wanted. Nodes reach it without TLS,
	// since it is on loopback.
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/private/"):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/v2/":
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(registry.Close)
	pulls := func(image string) func(*testing.T, *attempt) {
		return func(_ *testing.T, a *attempt) { a.runtime().CustomImage = a.registry + "/" + image }
	}
	tests := []struct {
		name  string
		make  func(*testing.T, *attempt)
		code  controlplane.ReasonCode
		says  string
		stage controlplane.Stage // of the last fact before the end
		text  string             // of that one
	}{
		{"the image is not there", pulls("none:1"), controlplane.ImagePull, "does not have it", controlplane.StageImage, ""},
		{"the image is private", pulls("private/app:1"), controlplane.ImagePull, "pull_secret", controlplane.StageImage, ""},
		{"the registry is not there", func(_ *testing.T, a *attempt) {
			a.runtime().CustomImage, a.cfg.StartTimeout = "127.0.0.1:9/app:1", 4*time.Second
		}, controlplane.ImagePull, "does not reach", controlplane.StageImage, "tried again"},
		{"the program is not there", func(_ *testing.T, a *attempt) { a.runtime().AppEntryPoint = []string{"/nope"} }, controlplane.Crashed, "/nope is not in the image", "", ""},
		{"it crashes", behaves(launchertest.Crashes), controlplane.Crashed, "exit code 3", "", ""},
		{"it leaves", behaves(leaves), controlplane.Crashed, "exit code 0", "", ""},
		{"it needs too much memory", func(t *testing.T, a *attempt) { behaves(eats)(t, a); a.runtime().MemoryLimit = "64Mi" }, controlplane.OOM, "64Mi", "", ""},
		{"it writes too much", func(t *testing.T, a *attempt) {
			behaves(fills)(t, a)
			a.cfg.Objects.Scratch = quantity.MustParse("8Mi")
		}, controlplane.Crashed, "8Mi", "", ""},
		{"it never opens its port", func(t *testing.T, a *attempt) {
			behaves(launchertest.NeverOpen)(t, a)
			a.w.HealthTimeout = 2 * time.Second
		},
			controlplane.PortNeverOpened, "within 2s", controlplane.StageStarting, ""},
		{"no node has the CPUs", func(_ *testing.T, a *attempt) { a.runtime().CPUReservation = "99" }, controlplane.NoCapacity, "without enough free CPU", controlplane.StageQueued, "waits for a machine"},
		{"no node has a GPU", func(_ *testing.T, a *attempt) { a.runtime().GPUCount = 1 }, controlplane.NoCapacity, "without a free nvidia.com/gpu", controlplane.StageQueued, "waits for a machine"},
		{"no node is of the profile", func(_ *testing.T, a *attempt) {
			a.cfg.Objects.Every.NodeSelector = map[string]string{"kind": "none"}
		}, controlplane.NoCapacity, "launch profile", controlplane.StageQueued, "waits for a machine"},
		{"no storage class", func(_ *testing.T, a *attempt) {
			a.runtime().VolumeMount, a.runtime().VolumeSize, a.cfg.Objects.StorageClass = "/kept", "1Mi", "none"
		}, controlplane.NoCapacity, "storage class", controlplane.StageQueued, "volume"},
		{"the quota is used up", func(t *testing.T, a *attempt) { a.y.quota(t, "pods", "0") }, controlplane.Quota, "pods=0", controlplane.StageQueued, "quota"},
		{"the quota of volumes is used up", func(t *testing.T, a *attempt) {
			a.runtime().VolumeMount, a.runtime().VolumeSize = "/kept", "1Mi"
			a.y.quota(t, "persistentvolumeclaims", "0")
		}, controlplane.Quota, "persistentvolumeclaims=0", controlplane.StageQueued, ""},
		{"more than the namespace allows", func(t *testing.T, a *attempt) {
			a.runtime().MemoryLimit = "64Mi"
			a.y.limitRange(t)
		}, controlplane.Quota, "maximum memory usage per Container is 32Mi", controlplane.StageQueued, ""},
		{"no service account", func(_ *testing.T, a *attempt) { a.cfg.Objects.ServiceAccount = "none" }, controlplane.LauncherDown, "service account", controlplane.StageQueued, ""},
		{"somebody deletes its secret", func(t *testing.T, a *attempt) {
			a.y.quota(t, "pods", "0")
			a.cfg.ScheduleTimeout = time.Minute
			a.cfg.StartTimeout = 5 * time.Second
			a.afterwards = func() {
				secrets := a.y.core.Secrets(a.y.space)
				name := objects.SecretName(a.w.InstanceID, 1)
				if err := secrets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
				if err := a.y.core.ResourceQuotas(a.y.space).Delete(t.Context(), "quota", metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			}
		}, controlplane.MissingSecret, "the secret i-", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			const id = "aaaaaaaa-0000-4000-8000-000000000001"
			a := &attempt{y: y, w: y.workload(id, 1, launchertest.Serves), registry: registry.Listener.Addr().String()}
			a.cfg.ScheduleTimeout = 4 * time.Second
			a.cfg.DataDir = t.TempDir()
			test.make(t, a)
			l := y.lead(t, func(cfg *kubernetes.Config) {
				a.cfg.REST, a.cfg.Objects.Namespace, a.cfg.Log = cfg.REST, cfg.Objects.Namespace, cfg.Log
				*cfg = a.cfg
			})
			w := watch(t, l)
			err := l.Start(t.Context(), a.w)
			if typed, ok := typedStart(err); ok {
				check(t, &typed.Reason, test.code, test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.afterwards != nil {
				w.until(t, 1, time.Minute, func(f launcher.Fact) bool { return strings.Contains(f.Text, "quota") })
				a.afterwards()
			}
			end, before := w.until(t, 1, 2*time.Minute, ended)
			check(t, end.Reason, test.code, test.says)
			if end.WasReady {
				t.Error("it was never ready")
			}
			if test.stage != "" && (before.Stage != test.stage || !strings.Contains(before.Text, test.text)) {
				t.Errorf("before, it was told as %s (%s), want %s (%s)", before.Stage, before.Text, test.stage, test.text)
			}
		})
	}
}

func check(t *testing.T, r *controlplane.Reason, code controlplane.ReasonCode, says string) {
	t.Helper()
	if r == nil || r.Code != code || !strings.Contains(r.Text, says) || len(r.Text) > 500 || strings.ContainsAny(r.Text, "\n\x00") {
		t.Errorf("the reason is %v, want %s: …%s…", r, code, says)
	}
}

func (y *yard) quota(t *testing.T, name corev1.ResourceName, hard string) {
	t.Helper()
	quotas := y.core.ResourceQuotas(y.space)
	_, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "quota"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{name: quantity.MustParse(hard)}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the quota is counted", func() bool {
		q, err := quotas.Get(t.Context(), "quota", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
}

func (y *yard) limitRange(t *testing.T) {
	t.Helper()
	_, err := y.core.LimitRanges(y.space).Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "limits"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceMemory: quantity.MustParse("32Mi")},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// pod is the one pod of an instance that runs.
func (y *yard) pod(t *testing.T, id string) *corev1.Pod {
	t.Helper()
	pods, err := y.core.Pods(y.space).List(context.Background(), metav1.ListOptions{LabelSelector: objects.LabelInstance + "=" + id})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.PodIP != "" && p.DeletionTimestamp == nil && net.ParseIP(p.Status.PodIP) != nil {
			return p
		}
	}
	t.Fatalf("no pod of %s runs", id)
	return nil
}
