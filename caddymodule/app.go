package caddymodule

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dbc68772/slipway/routing"
)

func init() {
	caddy.RegisterModule(App{})
}

// App is the Caddy app `slipway`: where the installation is, where its store
// is, and how it behaves.
type App struct {
	// Where etcd is. Required. A change needs a restart.
	Etcd Etcd `json:"etcd"`

	// Folder of the route table's snapshot, from which a pure edge serves when
	// it starts while etcd is away. Default: slipway/routes-<hash of the
	// endpoints and the prefix> in Caddy's data folder. One edge each. Not with a
	// control plane. A change needs a restart.
	Snapshot string `json:"snapshot,omitempty"`

	Settings

	// The guest module slipway.control_plane, to run the control plane in this
	// process too. Leave it out on a pure edge. A change needs a restart.
	ControlPlaneRaw json.RawMessage `json:"control_plane,omitempty"`

	// Where the control plane of this process answers other edges. Default:
	// nowhere. A change needs a restart.
	ControlListener *ControlListener `json:"control_listener,omitempty"`
	// How an edge without a control plane reaches one by TLS. Default: by plain
	// HTTP on this machine alone. A change needs a restart.
	ControlClient *ControlClient `json:"control_client,omitempty"`

	// Name of this edge among all edges of the store: up to 63 letters, digits,
	// dots, hyphens and underscores. One process has it at a time. Default: the
	// host's name and a random suffix. A change needs a restart.
	EdgeName string `json:"edge_name,omitempty"`

	site         *routing.Site
	trusted      trustedProxies
	health       *healthServer
	controlPlane ControlPlaneModule
	runtime      *Runtime
	runtimeKey   string
	edge         *Handler // for the admin interface; it serves nobody
	ctx          caddy.Context
	counted      map[*caddyhttp.Server]bool // whose connections are counted
}

// snapshotFolder is where the snapshot is, of this store's and no other's.
func (a *App) snapshotFolder() string {
	if a.Snapshot != "" {
		return a.Snapshot
	}
	endpoints := slices.Sorted(slices.Values(a.Etcd.Endpoints))
	hash := sha256.Sum256([]byte(strings.Join(append(endpoints, a.Etcd.Prefix), "\n")))
	return filepath.Join(caddy.AppDataDir(), "slipway", fmt.Sprintf("routes-%x", hash[:8]))
}

// CaddyModule implements caddy.Module.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "slipway", New: func() caddy.Module { return new(App) }}
}

// Provision reads the settings and takes the runtime. It opens nothing.
func (a *App) Provision(ctx caddy.Context) (err error) {
	key, err := json.Marshal([]any{a.Etcd, a.ControlPlaneRaw, a.ControlListener, a.ControlClient, a.EdgeName})
	if err != nil {
		return err
	}
	if a.BaseURL == "" {
		return errors.New("base_url is missing; in a Caddyfile the global option slipway { … } holds it")
	}
	a.setDefaults()
	a.site, err = routing.NewSite(routing.SiteConfig{
		BaseURL: a.BaseURL, ConsoleHost: a.ConsoleHost, StrictAliasRedirect: a.AliasRedirect == "strict",
	})
	if err != nil {
		return err
	}
	if a.HealthListen != "" {
		if _, err := parseHealthListen(a.HealthListen); err != nil {
			return err
		}
	}
	if a.trusted, err = parseTrustedProxies(a.TrustedProxies); err != nil {
		return err
	}
	if a.ControlPlaneRaw != nil {
		mod, err := ctx.LoadModuleByID("slipway.control_plane", a.ControlPlaneRaw)
		if err != nil {
			return err
		}
		a.controlPlane = mod.(ControlPlaneModule)
	}
	value, _, err := runtimes.LoadOrNew(string(key), func() (caddy.Destructor, error) {
		return newRuntime(ctx.Logger()), nil
	})
	if err != nil {
		return err
	}
	a.counted = map[*caddyhttp.Server]bool{}
	a.runtime, a.runtimeKey, a.ctx = value.(*Runtime), string(key), ctx
	a.edge = &Handler{}
	a.edge.take(a)
	// Each configuration has a registry of its own.
	registry := ctx.GetMetricsRegistry()
	if err := errors.Join(registry.Register(&a.runtime.metrics), registry.Register(controlMetrics{a.runtime})); err != nil {
		return err
	}
	return a.runtime.alone()
}

// Validate implements caddy.Validator.
func (a *App) Validate() error {
	err := a.validate()
	if len(a.Etcd.Endpoints) == 0 {
		err = errors.Join(err, errors.New("etcd: no endpoint is given"))
	}
	for _, endpoint := range a.Etcd.Endpoints {
		err = errors.Join(err, checkEndpoint(endpoint))
	}
	if (a.Etcd.Cert == "") != (a.Etcd.Key == "") {
		err = errors.Join(err, errors.New("etcd: cert and key go together"))
	}
	if a.Snapshot != "" && a.ControlPlaneRaw != nil {
		err = errors.Join(err, errors.New("snapshot belongs to a pure edge: leave it out beside control_plane"))
	}
	if a.controlPlane != nil {
		err = errors.Join(err, a.controlPlane.CheckSettings(a.Settings))
	}
	if (a.Etcd.Username == "") != (a.Etcd.PasswordFile == "") {
		err = errors.Join(err, errors.New("etcd: username and password_file go together"))
	}
	if a.ControlListener != nil && a.ControlPlaneRaw == nil {
		err = errors.Join(err, errors.New("control_listener needs a control_plane"))
	}
	err = errors.Join(err, checkEdgeName(a.EdgeName), a.ControlListener.validate(), a.ControlClient.validate())
	return err
}

// Start implements caddy.App: it opens the store, if no configuration before
// did.
func (a *App) Start() error {
	if err := apart(a.ctx, a.HealthListen); err != nil {
		return err
	}
	if err := a.runtime.start(a); err != nil || a.HealthListen == "" {
		return err
	}
	var err error
	a.health, err = startHealth(a.ctx, a.HealthListen, a.runtime.ready)
	return err
}

// Stop implements caddy.App. The runtime goes on for the next configuration;
// Cleanup gives it up.
func (a *App) Stop() error {
	if a.health != nil {
		a.health.stop()
	}
	return nil
}

// Cleanup gives the runtime up. It may run after a failed Provision.
func (a *App) Cleanup() error {
	if a.runtime == nil {
		return nil
	}
	a.runtime = nil
	_, err := runtimes.Delete(a.runtimeKey)
	return err
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
