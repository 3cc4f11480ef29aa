package up

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/routing"
)

// checkListen finds a wrong address and a busy port before anything is started.
func checkListen(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return usage("--listen %q is not an address and a port", listen).WithHint("for example --listen 127.0.0.1:8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return usage("--listen %q has no port between 1 and 65535", listen).WithHint("for example --listen 127.0.0.1:8080")
	}
	addresses := []string{listen}
	if reachOf(listen) != elsewhere {
		// Many clients take localhost for ::1 first: another program there would
		// get their requests, tokens included.
		addresses = append(addresses, net.JoinHostPort("::1", port), net.JoinHostPort("127.0.0.1", port))
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		switch {
		case err == nil:
			if err := l.Close(); err != nil {
				return fail(err, "cannot listen on %s", address)
			}
		case address == listen && errors.Is(err, syscall.EADDRNOTAVAIL):
			return fail(err, "cannot listen on %s", address).WithHint("--listen names an address of this machine, for example 127.0.0.1:8080")
		case address == listen || errors.Is(err, syscall.EADDRINUSE):
			return fail(err, "cannot listen on %s", address).WithHint("choose another port, for example: slipway up --listen 127.0.0.1:8081")
		}
	}
	return nil
}

// reach is from where an address to listen on is reached.
type reach uint8

const (
	thisMachine reach = iota // loopback
	everywhere               // all addresses, loopback too
	elsewhere                // one address that is not loopback
)

func reachOf(listen string) reach {
	host, _, _ := net.SplitHostPort(listen)
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Unmap().IsUnspecified():
		return everywhere
	case client.IsLocalhost(host), err == nil && ip.Unmap().IsLoopback():
		return thisMachine
	}
	return elsewhere
}

// checkReach refuses a base URL that does not lead to where this process
// listens.
func checkReach(listen string, site *routing.Site) error {
	if reachOf(listen) != elsewhere || !client.IsLocalhost(site.BaseDomain()) {
		return nil
	}
	return usage("%s does not lead to --listen %s", site.Origin(), listen).
		WithHint("say how that address is called: --base-url http://apps.example.com, with *.apps.example.com for its instances")
}

// exposed is a warning for an address beyond loopback without encryption, or
// nothing.
func exposed(listen string, site *routing.Site) string {
	if reachOf(listen) == thisMachine || site.Scheme() == "https" {
		return ""
	}
	return fmt.Sprintf(`%s is reached from other machines without encryption: whoever is on the way reads
cookies, tokens and pages, and can use them. Better, one of:
  listen on 127.0.0.1, and reach it with: ssh -L PORT:127.0.0.1:PORT HOST
  put a proxy with TLS in front, and say so: --base-url https://apps.example.com
  run a Caddyfile with certificates: slipway run (docs/configuration.md)`, listen)
}

// readSettings reads --config.
// Without a provider there is one user, so that no app is kept from another's:
// base_url_sharing is on then, unless the file says otherwise.
func readSettings(path string) (*caddymodule.App, error) {
	if path == "" {
		return &caddymodule.App{Settings: caddymodule.Settings{BaseURLSharing: new(true)}}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(err, "cannot read --config").WithHint("give a file with a block slipway { … }")
	}
	app, err := caddymodule.ParseSnippet(path, text)
	if err != nil {
		return nil, usage("--config %s: %v", path, err).WithHint("docs/configuration.md shows the block slipway { … }")
	}
	if len(app.Etcd.Endpoints) > 0 {
		return nil, usage("--config %s names an etcd, and slipway up runs its own", path).
			WithHint("take the etcd setting out, or run the Caddyfile with: slipway run --config Caddyfile")
	}
	if app.BaseURLSharing == nil {
		app.BaseURLSharing = new(app.OIDC == nil)
	}
	return app, nil
}

// controlPlane completes the control plane's part of the settings.
func controlPlane(raw json.RawMessage, p paths) (json.RawMessage, error) {
	var c struct {
		Blobs      string                     `json:"blobs,omitempty"`
		SecretKeys string                     `json:"secret_keys,omitempty"`
		Launchers  map[string]json.RawMessage `json:"launchers,omitempty"`
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
	}
	if c.Blobs == "" {
		c.Blobs = filepath.Join(p.data, "bundles")
	}
	if c.SecretKeys == "" {
		c.SecretKeys = p.secretKeys()
	}
	defaults := map[string]map[string]any{
		"process": {"data": filepath.Join(p.data, "processes"), "stop_on_exit": true},
		"manual":  {"allow": []string{"127.0.0.0/8", "::1/128"}},
	}
	if c.Launchers == nil {
		c.Launchers = map[string]json.RawMessage{}
	}
	if c.Launchers["process"] == nil && runsBundles(c.Launchers["kubernetes"]) {
		delete(defaults, "process") // two of them would run apps of the same modes
	}
	for name, values := range defaults {
		if given := c.Launchers[name]; given != nil {
			if err := json.Unmarshal(given, &values); err != nil {
				return nil, err
			}
		}
		if name == "process" {
			// The admin's token, the store, and what can configure this process.
			hide, _ := values["hide"].([]any)
			values["hide"] = append(hide, p.data, p.sockets)
		}
		c.Launchers[name] = caddyconfig.JSON(values, nil)
	}
	return json.Marshal(c)
}

// runsBundles reports whether the launcher kubernetes is set to run what process
// runs.
func runsBundles(kubernetes json.RawMessage) bool {
	var k struct {
		Image string `json:"image"`
	}
	return json.Unmarshal(kubernetes, &k) == nil && k.Image != ""
}

// hasProcesses reports whether there is the process launcher, which alone runs the
// sample app.
func hasProcesses(controlPlane json.RawMessage) bool {
	var c struct {
		Launchers map[string]json.RawMessage `json:"launchers"`
	}
	return json.Unmarshal(controlPlane, &c) == nil && c.Launchers["process"] != nil
}

// ownProcesses reports whether the process launcher works below the data folder.
func ownProcesses(controlPlane json.RawMessage, dataDir string) bool {
	var c struct {
		Launchers struct {
			Process struct {
				Data string `json:"data"`
			} `json:"process"`
		} `json:"launchers"`
	}
	err := json.Unmarshal(controlPlane, &c)
	return err == nil && strings.HasPrefix(c.Launchers.Process.Data, dataDir+"/")
}

// paths are where a run keeps what.
type paths struct{ data, sockets string }

// secretKeys is the file of keys where the settings name none.
func (p paths) secretKeys() string { return filepath.Join(p.data, "secret-keys.json") }

// caddyConfig is the whole configuration, as a Caddyfile would adapt to it.
func caddyConfig(app *caddymodule.App, listen string, p paths) *caddy.Config {
	persist := false
	server := map[string]any{
		"listen":              []string{listen},
		"protocols":           []string{"h1", "h2c"},
		"automatic_https":     map[string]any{"disable": true},
		"read_header_timeout": caddy.Duration(10 * time.Second),
		"max_header_bytes":    64 << 10,
		"listener_wrappers":   []any{map[string]any{"wrapper": "slipway"}},
		"routes":              []any{map[string]any{"handle": []any{map[string]any{"handler": "slipway"}}}},
	}
	return &caddy.Config{
		Admin: &caddy.AdminConfig{
			Listen: "unix/" + filepath.Join(p.sockets, "admin.sock"),
			Config: &caddy.ConfigSettings{Persist: &persist},
		},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {
			BaseLog: caddy.BaseLog{WriterRaw: caddyconfig.JSON(map[string]any{
				"output": "file", "filename": filepath.Join(p.data, "slipway.log"), "roll_size_mb": 16, "roll_keep": 3,
			}, nil)},
		}}},
		StorageRaw: caddyconfig.JSON(map[string]any{"module": "file_system", "root": filepath.Join(p.data, "caddy")}, nil),
		AppsRaw: caddy.ModuleMap{
			"slipway": caddyconfig.JSON(app, nil),
			"http": caddyconfig.JSON(map[string]any{
				// Open WebSockets and streams end when it stops.
				"grace_period": caddy.Duration(3 * time.Second),
				"servers":      map[string]any{"slipway": server},
			}, nil),
		},
	}
}

// baseURL is the public origin, by default this machine's own.
func baseURL(flag, file, listen string) string {
	switch {
	case flag != "":
		return flag
	case file != "":
		return file
	}
	_, port, _ := strings.Cut(listen[strings.LastIndex(listen, ":"):], ":")
	return "http://localhost:" + port
}
