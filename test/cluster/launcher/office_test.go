package launcher_test

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/routing"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
)

// office is a real API that pods reach at the node.
type office struct {
	*yard
	url   string
	store *etcdstore.Store
	blobs *blobs.Folder
	ahead atomic.Int64 // of the clock, in seconds
}

const officeHost = "apps.example.com"

func newOffice(t *testing.T, y *yard) *office {
	t.Helper()
	o := &office{yard: y, store: etcdtest.Shared(t).Open(t)}
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://" + officeHost})
	var err2 error
	o.blobs, err2 = blobs.New(t.TempDir())
	l, err3 := net.Listen("tcp", y.node+":0")
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	service := controlplane.NewService(controlplane.Config{
		Store: o.store, Edges: o.store, Leaders: o.store, Happenings: o.store, Blobs: o.blobs, Access: access.Rules{}, SignBundleLink: sign,
		Now: func() time.Time { return time.Now().Add(time.Duration(o.ahead.Load()) * time.Second) },
	})
	server := &http.Server{Handler: api.New(api.Config{Service: service, Site: site, Log: zap.NewNop()}), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }() // it ends by Close alone
	t.Cleanup(func() { server.Close(); <-done })
	o.url = "http://" + l.Addr().String()
	return o
}

func sign(l controlplane.BundleLink) string { return identity.SignBundleLink([]byte("key"), l) }

// bundles has the launcher run bundles.
func (o *office) bundles(t testing.TB) func(*kubernetes.Config) {
	runtime := controlplane.RuntimeVersion{Name: "debian12", Image: clustertest.Image(t, clustertest.Python)}
	settings := objects.Bundles{Image: clustertest.Image(t, clustertest.Pod), Binary: clustertest.Image(t, clustertest.Python), ControlPlane: o.url}
	return func(c *kubernetes.Config) {
		c.Bundles = settings
		c.Runtime = func(*controlplane.App) (controlplane.RuntimeVersion, bool) { return runtime, true }
	}
}

// bundled is the first start of an app with these files.
func (o *office) bundled(t *testing.T, files map[string]string, rt controlplane.Runtime) launcher.Workload {
	t.Helper()
	app := &controlplane.App{
		ID: uuid.NewString(), Name: "bundled", Version: "1.0.0", Owner: "ada", Visibility: controlplane.Private, AppMode: rt.AppMode,
		Bundle: o.keep(t, files), Manifest: controlplane.Manifest{Runtime: rt},
	}
	w := launcher.Workload{InstanceID: uuid.NewString(), App: app, Token: "the token", HealthTimeout: time.Minute, StopGrace: 2 * time.Second}
	w.Runtime = &controlplane.RuntimeVersion{Name: "debian12", Image: clustertest.Image(t, clustertest.Python)}
	o.put(t, app)
	return o.next(t, w)
}

// next is the next start of an instance.
func (o *office) next(t *testing.T, w launcher.Workload) launcher.Workload {
	t.Helper()
	w.Generation++
	o.put(t, &controlplane.Instance{
		ID: w.InstanceID, AppID: w.App.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending, Generation: w.Generation,
	})
	generation, digest := w.Generation, w.App.Bundle
	w.BundleLink = func(validity time.Duration) launcher.BundleLink {
		l := controlplane.NewBundleLink(digest, w.InstanceID, generation, time.Now(), validity)
		return launcher.BundleLink{Target: api.BundleTarget(l, sign(l)), Host: officeHost, Digest: digest, Expires: l.Expires}
	}
	return w
}

func (o *office) put(t *testing.T, record any) {
	t.Helper()
	if _, err := o.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(record) }); err != nil {
		t.Fatal(err)
	}
}

func (o *office) keep(t *testing.T, files map[string]string) (digest string) {
	t.Helper()
	blob, err := o.blobs.Create(t.Context())
	if err == nil {
		_, err = blob.Write(bundletest.Zip(t, files))
	}
	if err == nil {
		digest, err = blob.Commit()
	}
	if err := errors.Join(err, blob.Discard()); err != nil {
		t.Fatal(err)
	}
	return digest
}
