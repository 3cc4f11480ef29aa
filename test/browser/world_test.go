package browser

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// setup is how a world differs from the default: https, the base domain
// apps.test, and the console beside the apps on console.apps.test.
type setup struct {
	plain   bool   // http, on localhost
	console string // the console's host
	more    string // settings of the block slipway
}

// world is a store, an OpenID provider with the users ada (admin), victim and
// mallory, and a slipway with control plane that signs people in there.
type world struct {
	*testing.T
	ctx      context.Context // ends with the test, or its limit
	provider *oidctest.Provider
	process  *slipwaytest.Process
	dir      string

	scheme, domain, port string
	console              string // its origin
}

// emptyWorld has no more than a folder and a port.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	needsChromium(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &world{T: t, ctx: ctx, dir: dir, port: freePort(t)}
}

// end ends slipway and its apps, as the kernel would.
func (w *world) end() {
	w.process.Kill()
	slipwaytest.KillApps(w.dir)
	if w.Failed() {
		w.Log(w.process.Tail())
	}
}

func newWorld(t *testing.T, with setup) *world {
	t.Helper()
	w := emptyWorld(t)
	w.scheme, w.domain = "https", "apps.test"
	if with.plain {
		w.scheme, w.domain = "http", "localhost"
	}
	if with.console == "" {
		with.console = "console." + w.domain
	}
	w.console = w.scheme + "://" + with.console + ":" + w.port
	store, err := embedded.Start(w.ctx, embedded.Config{DataDir: filepath.Join(w.dir, "data"), SocketDir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	t.Cleanup(w.end)
	w.provider = oidctest.Start(t, oidctest.Config{Client: oidctest.Client{
		RedirectURIs: []string{w.console + "/callback"}, LogoutURIs: []string{w.console + "/"},
	}, RefreshAlways: true})
	w.provider.AddUser(oidctest.User{Username: "ada", Email: "ada@example.com", Roles: []string{"admin"}})
	w.provider.AddUser(oidctest.User{Username: "victim", Email: "victim@example.com"})
	w.provider.AddUser(oidctest.User{Username: "mallory", Email: "mallory@example.com"})
	w.write(with)
	w.process = slipwaytest.RunCaddyfile(t, w.dir, append(os.Environ(), "XDG_RUNTIME_DIR="+w.dir))
	visitor := w.visitor()
	eventually(t, "slipway is ready", func() bool {
		resp, err := visitor.Get(w.origin("") + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return w
}

// write writes the Caddyfile.
func (w *world) write(with setup) {
	w.Helper()
	secret := filepath.Join(w.dir, "secret")
	if err := os.WriteFile(secret, []byte(w.provider.ClientSecret()), 0o600); err != nil {
		w.Fatal(err)
	}
	site := slipwaytest.Site(w.port)
	if !with.plain {
		cert, key := certtest.SelfSigned(w, w.domain, "*."+w.domain, with.console).Write(w, filepath.Join(w.dir, "tls"))
		site = "https://:" + w.port + " {\n\ttls " + cert + " " + key + "\n\tslipway\n}"
	}
	slipwaytest.WriteCaddyfile(w, w.dir, fmt.Sprintf(`
	admin unix/%[1]s/admin.sock
	grace_period 5s
	servers {
		protocols h1 h2
		listener_wrappers {
			slipway
		}
	}
	slipway {
		base_url %[2]s
		console_host %[3]s
		edge_name edge-1
		etcd unix://%[1]s/etcd.sock
		control_plane
		blobs %[1]s/bundles
		launcher process {
			data %[1]s/processes
		}
		oidc %[4]s %[5]s {
			client_secret_file %[6]s
		}
		%[7]s
	}`, w.dir, w.origin(""), hostOf(w.console), w.provider.Issuer(), w.provider.ClientID(), secret, with.more), site)
}

func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		panic(err) // of the test's own making
	}
	return u.Hostname()
}

// origin is that of a host below the base domain; "" is the base domain.
func (w *world) origin(label string) string {
	if label != "" {
		label += "."
	}
	return w.scheme + "://" + label + w.domain + ":" + w.port
}

// visitor is a client that is no browser, with cookies.
func (w *world) visitor() *http.Client {
	w.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the browser of these tests looks as little
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		},
	}
	w.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: patience}
}

// api is a client of the API with a token that a user makes at the console's
// host.
func (w *world) api(user string) *client.Client {
	w.Helper()
	visitor := w.visitor()
	callback := w.provider.SignIn(w, visitor, w.console+"/login?next=/", user)
	resp, err := visitor.Get(callback.String())
	if err != nil {
		w.Fatal(err)
	}
	resp.Body.Close()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.console+"/api/v1/tokens",
		strings.NewReader(`{"name":"test","scopes":["read","write","open","admin"]}`))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", w.console)
	if resp, err = visitor.Do(r); err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var token v1.NewToken
	if err != nil || resp.StatusCode != http.StatusCreated || json.Unmarshal(body, &token) != nil {
		w.Fatalf("make a token of %s: %d %s %v", user, resp.StatusCode, body, err)
	}
	api, err := client.New(client.Config{Endpoint: w.console, Token: token.Secret, HTTP: w.visitor()})
	if err != nil {
		w.Fatal(err)
	}
	return api
}

// run imports an app of its own and runs it; URL of the instance is its
// canonical one.
func (w *world) run(by *client.Client, app slipwaytest.App, visibility string) *v1.Instance {
	w.Helper()
	imported, err := by.ImportBundle(w.ctx, client.Import{Archive: bytes.NewReader(app.Bundle(w)), Visibility: "ALL_USERS"})
	if err != nil {
		w.Fatal(err)
	}
	in, err := by.Run(w.ctx, v1.RunRequest{AppID: imported.ID, Visibility: &visibility})
	if err != nil {
		w.Fatal(err)
	}
	eventually(w, app.Name+" runs", func() bool { return w.status(by, in.ID) == "DEPLOYED" })
	return in
}

func (w *world) status(by *client.Client, id string) string {
	w.Helper()
	in, err := by.Instance(w.ctx, id)
	if err != nil {
		w.Fatal(err)
	}
	return in.Status
}

// audited are the changes that there have been, by name and object.
func (w *world) audited(admin *client.Client) (changes []string) {
	w.Helper()
	records, _, err := admin.AllAudit(w.ctx, client.AuditFilter{})
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range records {
		changes = append(changes, r.Actor+" "+r.Action+" "+r.Object)
	}
	return changes
}
