package scale

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// house is a slipway, control plane and edge in one process, whose instances are
// in a namespace of a cluster. Its etcd is in the process of the test.
type house struct {
	api     *client.Client
	process *slipwaytest.Process
	edge    string // host:port

	cluster kubernetes.Interface // the test's own, as an admin
	space   string
}

// base is the edge's base domain.
const base = "scale.localhost"

// newHouse starts one, which goes to the API server as the kubeconfig says. The
// options are lines for its launcher.
func newHouse(t testing.TB, kubeconfig string, options func(space string) string) *house {
	t.Helper()
	config := clustertest.Config(t)
	config.AcceptContentTypes = runtime.ContentTypeProtobuf // to look on costs as little as it can
	h := &house{cluster: kubernetes.NewForConfigOrDie(config), edge: "127.0.0.1:" + slipwaytest.FreePort(t)}
	h.space = clustertest.Namespace(t, h.cluster.CoreV1(), "scale-")
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{DataDir: filepath.Join(dir, "etcd"), SocketDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); os.RemoveAll(dir) })
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	token := etcdtest.Admin(t, store)
	slipwaytest.WriteCaddyfile(t, dir, fmt.Sprintf(`
	admin unix/%[1]s/admin.sock
	grace_period 1s
	log {
		level WARN
	}
	slipway {
		base_url http://%[2]s
		etcd %[3]s
		control_plane 127.0.0.1:%[4]s
		blobs %[1]s/bundles
		allowed_images .*
		drain 1s
		stop_grace 1s
		launcher kubernetes {
			kubeconfig %[5]s
			namespace %[6]s
			data %[1]s/logs
			%[7]s
		}
	}`, dir, base, server.Endpoint(), slipwaytest.FreePort(t), kubeconfig, h.space, options(h.space)), slipwaytest.Site(port(h.edge)))
	h.process = slipwaytest.RunCaddyfile(t, dir, append(os.Environ(), "XDG_RUNTIME_DIR="+dir))
	t.Cleanup(func() {
		if h.process.Stop(t); t.Failed() {
			t.Log(h.process.Tail())
		}
	})
	h.api, err = client.New(client.Config{
		Endpoint: "http://" + net.JoinHostPort(base, port(h.edge)), Token: token, HTTP: &http.Client{Transport: client.LoopbackTransport()},
	})
	if err != nil {
		t.Fatal(err)
	}
	slipwaytest.Eventually(t, "slipway is ready", func() bool {
		status, _, err := h.visit(t.Context(), base, "/readyz")
		return err == nil && status == http.StatusOK
	})
	return h
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// container is the app.toml of an image that listens at a port.
func container(image, port string) string {
	return fmt.Sprintf("AppMode = \"container\"\nCustomImage = %q\nPort = %s\nMemoryReservation = \"16Mi\"\nCPUReservation = \"10m\"", image, port)
}

// imports imports an app.
func (h *house) imports(t testing.TB, app slipwaytest.App) (id string) {
	t.Helper()
	archive := bytes.NewReader(app.Bundle(t))
	imported, err := h.api.ImportBundle(t.Context(), client.Import{Archive: archive, Visibility: "PUBLIC"})
	if err != nil {
		t.Fatal(err)
	}
	return imported.ID
}

// run starts a PUBLIC instance and waits until it is ready.
func (h *house) run(ctx context.Context, app string) (id string, err error) {
	public := "PUBLIC"
	in, err := h.api.Run(ctx, v1.RunRequest{AppID: app, Visibility: &public})
	if err != nil {
		return "", err
	}
	return in.ID, h.await(ctx, in.ID, "DEPLOYED")
}

// sleep suspends an instance and waits until it sleeps.
func (h *house) sleep(ctx context.Context, id string) error {
	if _, err := h.api.Suspend(ctx, id); err != nil {
		return err
	}
	return h.await(ctx, id, "SUSPENDED")
}

// pace is how often an instance is asked for its status.
const pace = 100 * time.Millisecond

func (h *house) await(ctx context.Context, id, status string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		in, err := h.api.Instance(ctx, id)
		switch {
		case err != nil:
			return err
		case in.Status == status:
			return nil
		case in.Status == "FAILED":
			return fmt.Errorf("instance %s: %+v", id, in.Reason)
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return fmt.Errorf("instance %s is %s, not %s: %w", id, in.Status, status, ctx.Err())
		}
	}
}

// visit asks the edge for a path of a host, over a connection of its own.
func (h *house) visit(ctx context.Context, host, path string) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.edge+path, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Host, r.Close = host, true
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	body, err = io.ReadAll(a.Body)
	return a.StatusCode, body, err
}

// hostOf is the host of an instance.
func hostOf(id string) string { return id + "." + base }
