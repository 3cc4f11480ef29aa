package launcher_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/deploy/image"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
)

func TestMain(m *testing.M) {
	launchertest.Workload(behaviours)
	etcdtest.Main(m)
}

// yard is a namespace of a real cluster, for one test.
type yard struct {
	t      testing.TB
	rest   *rest.Config
	core   *corev1client.CoreV1Client // the test's own, as an admin
	space  string
	image  string
	node   string // an address of the node, where this process is too
	data   string
	census *launchertest.Census
	epochs atomic.Int64
}

func newYard(t *testing.T) *yard {
	t.Helper()
	config := clustertest.Config(t)
	y := &yard{t: t, rest: config, image: testImage(t), data: t.TempDir()}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(client.Transport) })
	if y.core, err = corev1client.NewForConfigAndClient(config, client); err != nil {
		t.Fatal(err)
	}
	y.space = clustertest.Namespace(t, y.core, "launcher-")
	y.node = clustertest.NodeAddress(t, y.core)
	y.census = launchertest.NewCensus(t, y.node)
	return y
}

// open opens a launcher that does not lead.
func (y *yard) open(t testing.TB, change ...func(*kubernetes.Config)) *kubernetes.Launcher {
	t.Helper()
	cfg := kubernetes.Config{REST: y.rest, Objects: objects.Settings{Namespace: y.space}, DataDir: y.data}
	if testing.Verbose() && os.Getenv("LAUNCHERTEST_LOG") != "" {
		cfg.Log = zaptest.NewLogger(t)
	}
	for _, c := range change {
		c(&cfg)
	}
	l, err := kubernetes.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// lead opens a launcher that leads, and closes it with the test.
func (y *yard) lead(t testing.TB, change ...func(*kubernetes.Config)) *kubernetes.Launcher {
	t.Helper()
	l := y.open(t, change...)
	t.Cleanup(func() {
		if err := l.Close(context.Background(), true, time.Second); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := l.Lead(context.Background(), y.epochs.Add(1)); err != nil {
		t.Fatal(err)
	}
	return l
}

// workload is this test binary in its image, behaving so.
func (y *yard) workload(id string, generation int64, b launchertest.Behaviour) launcher.Workload {
	return launcher.Workload{
		InstanceID: id, Generation: generation,
		App: &controlplane.App{
			ID: "4c1f6e9e-8f39-4d1c-9a0e-2d6f0c9a7b11", Name: "suite", Version: "1.0.0", AppMode: controlplane.Container,
			Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{CustomImage: y.image}},
		},
		Env: []string{
			launchertest.EnvBehaviour + "=" + string(b), launchertest.EnvInstance + "=" + id,
			launchertest.EnvHost + "=0.0.0.0", launchertest.EnvCensus + "=" + y.census.Env(),
		},
		Token: "token of " + id,
	}
}

// testImage is an image of this test binary, which the node has.
func testImage(t testing.TB) string {
	t.Helper()
	reference, err := loadImage()
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

var loadImage = sync.OnceValues(func() (string, error) {
	self, err := clustertest.Self()
	if err != nil {
		return "", err
	}
	return clustertest.Load("launchertest", image.Spec{
		Layers:     [][]image.File{{{Path: "/workload", Source: self, Mode: 0o755}}},
		Entrypoint: []string{"/workload", "sample-app"}, User: "65532",
	})
})

// answers reports whether something accepts connections there.
func answers(endpoint string) bool {
	c, err := net.DialTimeout("tcp", endpoint, 2*time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// exit has the workload that serves there end with a code.
func exit(endpoint string, code int) {
	if resp, err := http.Get(fmt.Sprintf("http://%s/exit?code=%d", endpoint, code)); err == nil {
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}
