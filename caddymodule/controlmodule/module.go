package controlmodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

func init() {
	caddy.RegisterModule(ControlPlane{})
}

// ControlPlane is the guest module slipway.control_plane. One control plane
// works on a store at a time.
type ControlPlane struct {
	// Folder of the imported bundles. Default: bundles in Caddy's data folder.
	// A change needs a restart.
	Blobs string `json:"blobs,omitempty"`
	// What runs instances, by name. Default: process alone. A change needs a
	// restart.
	LaunchersRaw caddy.ModuleMap `json:"launchers,omitempty" caddy:"namespace=slipway.launchers"`

	launchers map[string]LauncherModule
}

// LauncherModule is a guest module of the namespace slipway.launchers.
type LauncherModule interface {
	// Open makes the launcher.
	Open(log *zap.Logger) (launcher.Launcher, error)
	// Modes are the app modes that it runs.
	Modes() []controlplane.AppMode
	// StopOnExit reports whether its workloads end with the control plane.
	StopOnExit() bool
}

// CaddyModule implements caddy.Module.
func (ControlPlane) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "slipway.control_plane", New: func() caddy.Module { return new(ControlPlane) }}
}

// Provision loads the launchers' modules; it opens nothing.
func (c *ControlPlane) Provision(ctx caddy.Context) error {
	if c.Blobs == "" {
		c.Blobs = filepath.Join(caddy.AppDataDir(), "slipway", "bundles")
	}
	if c.LaunchersRaw == nil {
		c.LaunchersRaw = caddy.ModuleMap{"process": json.RawMessage("{}")}
	}
	loaded, err := ctx.LoadModule(c, "LaunchersRaw")
	if err != nil {
		return err
	}
	c.launchers = map[string]LauncherModule{}
	for name, mod := range loaded.(map[string]any) {
		c.launchers[name] = mod.(LauncherModule)
	}
	return nil
}

// running is a control plane at work.
type running struct {
	api, console http.Handler
	people       *people
	modules      map[string]LauncherModule
	launchers    map[string]launcher.Launcher
	grace        time.Duration
	cancel       context.CancelFunc
	manager      sync.WaitGroup // and all else that runs
}

// StartControlPlane implements caddymodule.ControlPlaneModule.
func (c *ControlPlane) StartControlPlane(ctx context.Context, d caddymodule.ControlPlaneDeps) (caddymodule.ControlPlane, error) {
	key, err := d.Store.SigningKey(ctx, "instance")
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	kept, err := blobs.New(c.Blobs)
	if err != nil {
		return nil, err
	}
	r := &running{modules: c.launchers, launchers: map[string]launcher.Launcher{}, grace: time.Duration(d.Settings.StopGrace)}
	for name, mod := range c.launchers {
		l, err := mod.Open(d.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open launcher %s: %w", name, err), r.Close())
		}
		r.launchers[name] = l
	}
	people, err := newPeople(ctx, d)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.people = people
	service := controlplane.NewService(controlplane.Config{
		ReadInstanceToken: func(token string) (string, int64, bool) { return identity.ReadInstanceToken(key, token) },
		Passes:            people.keys, Provider: people.issuer(), Rights: people.rights,
		Sleep: sleeping(d.Settings),
		Store: d.Store, Edges: d.Store, Happenings: d.Store, Changes: d.Changes, Blobs: kept, ReadBundle: readBundle(d.Settings.MaxUpload), Launchers: r,
		Access: rules(d.Settings), Quotas: quotas(d.Settings), RoutingMode: controlplane.RoutingMode(d.Settings.RoutingMode), MaxUpload: d.Settings.MaxUpload,
		ReservedAliases: append(slices.Clone(d.Settings.ReservedAliases), consoleLabel(d)...),
	})
	if err := service.Sweep(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("finish imports: %w", err), r.Close())
	}
	if err := service.MendTags(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("finish changes of tags: %w", err), r.Close())
	}
	sharing := *d.Settings.BaseURLSharing
	if err := d.Store.PutEdgeSettings(ctx, controlplane.EdgeSettings{BaseURLSharing: sharing, PublicMode: d.Settings.PublicMode}); err != nil {
		return nil, errors.Join(fmt.Errorf("publish settings: %w", err), r.Close())
	}
	if sharing {
		d.Log.Warn("base_url_sharing is on: all apps of mode BASE_URL share one origin, and each can act in the others as its visitor")
	}
	manager := lifecycle.New(lifecycle.Config{
		Store: d.Store, Watcher: d.Store, Blobs: kept, Launchers: r.launchers, Site: d.Site,
		Token: func(id string, generation int64) string { return identity.InstanceToken(key, id, generation) },
		Edges: d.Store, Activity: d.Store, Sleep: sleeping(d.Settings), Drain: time.Duration(d.Settings.Drain),
		StartsAtOnce: int(d.Settings.StartsAtOnce), Rights: people.rights, Now: time.Now,
		Starts: lifecycle.StartLimits{
			User: int(d.Settings.StartsPerUser), Source: int(d.Settings.StartsPerSource), Anonymous: int(d.Settings.AnonymousStarts),
		},
		HealthTimeout: time.Duration(d.Settings.HealthTimeout), StopGrace: r.grace, Log: d.Log.Named("lifecycle"),
	})
	ctx, r.cancel = context.WithCancel(ctx)
	r.manager.Go(func() { manager.Run(ctx) })
	people.run(ctx, &r.manager, service)
	select {
	case <-manager.Settled():
	case <-time.After(settleLimit):
		d.Log.Warn("some instances have not been compared with what runs; their routes may be of an earlier life")
	}
	r.api, r.console = people.handlers(service, api.Config{
		Service: service, Launchers: r.launchers, Site: d.Site, Explain: d.Explain, Log: d.Log.Named("api"),
	})
	return r, nil
}

func rules(s caddymodule.Settings) access.Rules {
	return access.Rules{PublicMode: s.PublicMode, BaseURLSharing: *s.BaseURLSharing, UserAliases: s.UserAliases}
}

func quotas(s caddymodule.Settings) controlplane.Quotas {
	return controlplane.Quotas{
		Instances: int(s.InstancesPerUser), VisitorInstances: int(s.InstancesPerVisitor),
		Versions: int(s.VersionsPerUser), Starts: int(s.StartsPerUser),
	}
}

func sleeping(s caddymodule.Settings) controlplane.SleepSettings {
	return controlplane.SleepSettings{Timeout: time.Duration(s.InstanceTimeout), Presence: time.Duration(s.PresenceTimeout)}
}

// settleLimit bounds how long the edge of this process waits for the first
// comparison of records with what runs.
const settleLimit = 10 * time.Second

func readBundle(maxUpload int64) func(context.Context, io.ReaderAt, int64) (controlplane.Manifest, []controlplane.Fault, error) {
	options := bundle.Options{Limits: bundle.DefaultLimits()}
	options.Limits.Upload = maxUpload
	return func(_ context.Context, r io.ReaderAt, size int64) (controlplane.Manifest, []controlplane.Fault, error) {
		b, err := bundle.Open(r, size, options)
		if err != nil {
			return controlplane.Manifest{}, nil, err
		}
		return b.Manifest, b.Warnings, nil
	}
}

// consoleLabel is the console's label, where its host is one below the base
// domain: no alias may have it.
func consoleLabel(d caddymodule.ControlPlaneDeps) []string {
	suffix := "." + d.Site.BaseDomain()
	host := d.Site.ConsoleHost()
	if len(host) > len(suffix) && host[len(host)-len(suffix):] == suffix {
		return []string{host[:len(host)-len(suffix)]}
	}
	return nil
}

func (r *running) API() http.Handler     { return r.api }
func (r *running) Console() http.Handler { return r.console }

// Close implements caddymodule.ControlPlane: first the manager, so that it
// does not start again what is stopped after it.
func (r *running) Close() error {
	if r.cancel != nil {
		r.cancel()
		r.manager.Wait()
	}
	if r.people != nil {
		r.people.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.grace+10*time.Second)
	defer cancel()
	errs := make(chan error, len(r.launchers))
	for name, l := range r.launchers {
		go func() { errs <- l.Close(ctx, r.modules[name].StopOnExit(), r.grace) }()
	}
	var all []error
	for range r.launchers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// Launcher implements controlplane.LauncherSet.
func (r *running) Launcher(mode controlplane.AppMode) string {
	for name, mod := range r.modules {
		if slices.Contains(mod.Modes(), mode) {
			return name
		}
	}
	return ""
}

// Check implements controlplane.LauncherSet.
func (r *running) Check(app *controlplane.App) []controlplane.Reason {
	if l := r.launchers[r.Launcher(app.AppMode)]; l != nil {
		return l.Check(app)
	}
	return []controlplane.Reason{{
		Code: controlplane.LauncherDown,
		Text: fmt.Sprintf("no launcher that runs apps of mode %s is configured here", app.AppMode),
	}}
}

var (
	_ caddy.Provisioner              = (*ControlPlane)(nil)
	_ caddymodule.ControlPlaneModule = (*ControlPlane)(nil)
	_ controlplane.LauncherSet       = (*running)(nil)
)
