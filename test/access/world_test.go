package access

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// domain is the base domain; clients dial loopback for it and all below it.
const domain = "apps.test"

// clientAddress is where clients call from, so that it can be told from the
// edges' own address.
const clientAddress = "127.0.0.7"

// world is one etcd, an edge with a control plane, a pure edge, a provider, and
// those who sign in there.
type world struct {
	dir       string
	env       []string
	endpoint  string // of etcd
	port      string // of the base URL; both edges answer for it
	cert, key string
	roots     *x509.CertPool
	call      string // where the control plane listens for the pure edge
	idp       *oidctest.Provider
	edges     []*edge
	people    map[string]*person
	things    things
	// saidBefore is the log of the control plane with all settings on.
	saidBefore string
}

// edge is a running slipway.
type edge struct {
	name      string
	port      string
	data      string
	world     *world
	process   *slipwaytest.Process
	transport *http.Transport
}

// control is the edge with the control plane, pure the other one.
func (w *world) control() *edge { return w.edges[0] }
func (w *world) pure() *edge    { return w.edges[1] }

// up reports whether both edges run.
func (w *world) up() bool { return w.control().ready() && w.pure().ready() }

// settings of the control plane.
const (
	allOn  = "public_mode\nbase_url_sharing\nuser_aliases\n"
	allOff = ""
)

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, port: slipwaytest.FreePort(t), call: "127.0.0.1:" + slipwaytest.FreePort(t), people: map[string]*person{}}
	w.env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	certificate := certtest.SelfSigned(t, domain, "*."+domain)
	w.cert, w.key = certificate.Write(t, filepath.Join(dir, "cert"))
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(certificate.Cert)
	w.idp = oidctest.Start(t, oidctest.Config{
		RefreshAlways: true,
		Client:        oidctest.Client{RedirectURIs: []string{w.console("/callback")}, LogoutURIs: []string{w.console("/")}},
	})
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(w.idp.ClientSecret()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "control"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Create(filepath.Join(dir, "control", "secret-keys.json")); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{DataDir: filepath.Join(dir, "etcd"), SocketDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	w.endpoint = server.Endpoint()
	w.edges = []*edge{w.newEdge("control", w.port), w.newEdge("pure", slipwaytest.FreePort(t))}
	t.Cleanup(func() {
		for _, e := range w.edges {
			if e.process != nil {
				if t.Failed() {
					t.Log(e.process.Tail())
				}
				e.process.Kill()
			}
			e.transport.CloseIdleConnections()
		}
		slipwaytest.KillApps(filepath.Join(w.control().data, "processes"))
		server.Close()
	})
	w.startControl(t, allOn)
	w.pure().start(t, "")
	return w
}

func (w *world) newEdge(name, port string) *edge {
	e := &edge{name: name, port: port, data: filepath.Join(w.dir, name), world: w}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	e.transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableCompression: true, MaxIdleConnsPerHost: 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(address); host == domain || strings.HasSuffix(host, "."+domain) {
				return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	return e
}

// controlKnown is the revision at which the control plane became known to other
// edges; 0 while it is not.
func (w *world) controlKnown(t *testing.T) int64 {
	t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{w.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	resp, err := etcd.Get(t.Context(), etcdstore.DefaultPrefix+etcdstore.ControlKey(w.control().name))
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return 0
	}
	return resp.Kvs[0].CreateRevision
}

// startControl starts the edge with the control plane.
func (w *world) startControl(t *testing.T, settings string) {
	t.Helper()
	w.control().start(t, fmt.Sprintf(`control_plane %s
		oidc %s %s {
			client_secret_file %s/secret
		}
		full_access_role full
		instances_per_user 1000
		instances_per_visitor 1000
		versions_per_user 1000
		starts_per_user 10000
		stop_grace 1s
		blobs %[5]s/bundles
		secret_keys %[5]s/secret-keys.json
		launcher process {
			data %[5]s/processes
		}
		%[6]s`, w.call, w.idp.Issuer(), w.idp.ClientID(), w.dir, w.control().data, settings))
}

// start runs an edge and waits until it answers.
func (e *edge) start(t *testing.T, settings string) {
	t.Helper()
	w := e.world
	slipwaytest.WriteCaddyfile(t, e.data, fmt.Sprintf(`
	admin off
	grace_period 1s
	slipway {
		base_url %s
		etcd %s
		edge_name %s
		%s
	}`, w.base(""), w.endpoint, e.name, settings), fmt.Sprintf("https://:%s {\n\ttls %s %s\n\tslipway\n}", e.port, w.cert, w.key))
	e.process = slipwaytest.RunCaddyfile(t, e.data, w.env)
	slipwaytest.Eventually(t, e.name+" is ready", e.ready)
}

func (e *edge) ready() bool {
	resp, err := (&http.Client{Transport: e.transport}).Get(e.world.base("/readyz"))
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// base, console and host are URLs of the installation.
func (w *world) base(path string) string    { return "https://" + domain + ":" + w.port + path }
func (w *world) console(path string) string { return w.host("console", path) }
func (w *world) host(label, path string) string {
	return "https://" + label + "." + domain + ":" + w.port + path
}
