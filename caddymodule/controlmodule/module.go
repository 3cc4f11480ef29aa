package controlmodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
)

func init() {
	caddy.RegisterModule(ControlPlane{})
}

// ControlPlane is the guest module slipway.control_plane. Of several on a store
// each answers people, and one leads: it alone acts upon instances.
type ControlPlane struct {
	// Folder of the imported bundles. Default: bundles in Caddy's data folder.
	// A change needs a restart.
	Blobs string `json:"blobs,omitempty"`
	// File of the keys that the values of secrets are sealed with, which
	// `slipway secret-keys create` makes; all control planes of a store need the
	// same keys. A new key is taken at once. Default: none, and there are no
	// secrets. Another file needs a restart.
	SecretKeys string `json:"secret_keys,omitempty"`
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
	return c.checkModes()
}

// checkModes refuses two launchers for apps of one mode: nothing would say which
// of them runs an app.
func (c *ControlPlane) checkModes() error {
	runs := map[controlplane.AppMode]string{}
	for _, name := range slices.Sorted(maps.Keys(c.launchers)) {
		for _, mode := range c.launchers[name].Modes() {
			if other, taken := runs[mode]; taken {
				return fmt.Errorf("launchers %s and %s both run apps of mode %s: leave one of them out (launcher kubernetes runs bundles with its settings image and control_plane alone)", other, name, mode)
			}
			runs[mode] = name
		}
	}
	return nil
}

// running is a control plane at work.
type running struct {
	caddymodule.ControlPlaneDeps
	modules   map[string]LauncherModule
	launchers map[string]launcher.Launcher
	blobs     controlplane.Blobs
	vault     controlplane.Vault // nil: there are no secrets
	grace     time.Duration
	desk      atomic.Pointer[desk] // nil until the store has answered
	settled   latch                // the edge of this process may read routes
	counts    *metrics
	tracer    *tracer // nil: nothing is traced

	ending atomic.Bool // Close was called
	cancel context.CancelFunc
	work   sync.WaitGroup // all that runs
}

// desk is what answers people.
type desk struct {
	people       *people
	api, console http.Handler
}

// startLimit bounds how long the store may take to answer at the start. The
// control plane goes on without it, and says that it is unavailable.
const startLimit = 5 * time.Second

// settleLimit bounds how long the edge of this process waits for the first
// comparison of records with what runs, if this control plane leads.
const settleLimit = 10 * time.Second

// StartControlPlane implements caddymodule.ControlPlaneModule.
func (c *ControlPlane) StartControlPlane(ctx context.Context, d caddymodule.ControlPlaneDeps) (caddymodule.ControlPlane, error) {
	kept, err := blobs.New(c.Blobs)
	if err != nil {
		return nil, err
	}
	r := &running{
		ControlPlaneDeps: d, modules: c.launchers, launchers: map[string]launcher.Launcher{}, blobs: kept,
		grace: time.Duration(d.Settings.StopGrace), settled: newLatch(), counts: newMetrics(slices.Sorted(maps.Keys(c.launchers))),
	}
	if c.SecretKeys != "" {
		keys, err := vault.Open(c.SecretKeys)
		if err != nil {
			return nil, fmt.Errorf("open secret_keys: %w", err)
		}
		r.vault = keys
	}
	if r.tracer, err = newTracer(ctx); err != nil {
		d.Log.Warn("starts are not traced", zap.Error(err))
	}
	for name, mod := range c.launchers {
		if p, ok := mod.(*Process); ok {
			if err := p.keepFrom(c, d.Settings.OIDC); err != nil {
				return nil, errors.Join(fmt.Errorf("open launcher %s: %w", name, err), r.Close())
			}
		}
		if k, ok := mod.(*Kubernetes); ok {
			if err := k.knowing(d.Settings); err != nil {
				return nil, errors.Join(fmt.Errorf("open launcher %s: %w", name, err), r.Close())
			}
		}
		l, err := mod.Open(d.Log)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open launcher %s: %w", name, err), r.Close())
		}
		r.launchers[name] = l
	}
	ctx, r.cancel = context.WithCancel(ctx)
	first, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	switch err := r.open(first, ctx); {
	case err == nil:
	case controlplane.CodeOf(err) == controlplane.CodeUnavailable:
		d.Log.Warn("the control plane waits for the store", zap.Error(err))
		r.work.Go(func() {
			r.insist(ctx, "start control plane", func(ctx context.Context) error { return r.open(ctx, ctx) })
		})
		return r, nil
	default:
		return nil, errors.Join(err, r.Close())
	}
	// A route may name a port of an earlier life, where a stranger listens now.
	// Edges find that out by themselves; who leads need not let it come to that.
	select {
	case <-r.settled.done:
	case <-time.After(settleLimit):
		d.Log.Warn("some instances have not been compared with what runs; their routes may be of an earlier life")
	}
	return r, nil
}

// open reads what this control plane needs from the store, within the first
// context, and begins its work in the second.
func (r *running) open(ctx, working context.Context) error {
	key, err := r.Store.SigningKey(ctx, "instance")
	if err != nil {
		return fmt.Errorf("read signing key: %w", err)
	}
	bundleKey, err := r.Store.SigningKey(ctx, "bundle")
	if err != nil {
		return fmt.Errorf("read signing key: %w", err)
	}
	people, err := newPeople(ctx, r.ControlPlaneDeps)
	if err != nil {
		return err
	}
	offered, err := offers(r.Settings)
	if err != nil {
		return err
	}
	options := bundleOptions(r.Settings, offered)
	config := controlplane.Config{
		Offers:            offered,
		ReadInstanceToken: func(token string) (string, int64, bool) { return identity.ReadInstanceToken(key, token) },
		SignBundleLink:    func(l controlplane.BundleLink) string { return identity.SignBundleLink(bundleKey, l) },
		Passes:            people.keys, Provider: people.issuer(), Rights: people.rights,
		Store: r.Store, Edges: r.Store, Leaders: r.Store, Happenings: r.Store, Sleep: sleeping(r.Settings), Changes: r.Changes, Blobs: r.blobs, ReadBundle: readBundle(options), ReadMeta: readMeta, Launchers: r,
		Access: rules(r.Settings), Quotas: quotas(r.Settings), Vault: r.vault, RoutingMode: controlplane.RoutingMode(r.Settings.RoutingMode), MaxUpload: r.Settings.MaxUpload,
		ReservedAliases: append(slices.Clone(r.Settings.ReservedAliases), consoleLabel(r.ControlPlaneDeps)...),
	}
	service := controlplane.NewService(config)
	at := &desk{people: people}
	at.api, at.console = people.handlers(service, api.Config{
		Service: service, Launchers: r.launchers, Site: r.Site, Explain: r.Explain, Log: r.Log.Named("api"),
	})
	r.desk.Store(at)
	people.run(working, &r.work, service)
	c := &candidate{running: r, config: config, key: key, log: r.Log.Named("leader"), appsChecked: checkAppsEvery}
	r.work.Go(func() { c.campaign(working) })
	return nil
}

func rules(s caddymodule.Settings) access.Rules {
	return access.Rules{PublicMode: s.PublicMode, BaseURLSharing: *s.BaseURLSharing, UserAliases: s.UserAliases}
}

func quotas(s caddymodule.Settings) controlplane.Quotas {
	return controlplane.Quotas{
		Instances: int(s.InstancesPerUser), VisitorInstances: int(s.InstancesPerVisitor),
		Versions: int(s.VersionsPerUser), Starts: int(s.StartsPerUser), Secrets: int(s.SecretsPerUser),
	}
}

func sleeping(s caddymodule.Settings) controlplane.SleepSettings {
	return controlplane.SleepSettings{Timeout: time.Duration(s.InstanceTimeout), Presence: time.Duration(s.PresenceTimeout)}
}

func bundleLimits(s caddymodule.Settings) bundle.Limits {
	return bundle.Limits{
		Upload: s.MaxUpload, Unpacked: s.BundleLimits.Unpacked, Entries: int(s.BundleLimits.Entries), Ratio: int(s.BundleLimits.Ratio),
	}
}

func readBundle(options bundle.Options) func(context.Context, io.ReaderAt, int64) (controlplane.ReadBundle, error) {
	return func(_ context.Context, r io.ReaderAt, size int64) (controlplane.ReadBundle, error) {
		b, err := bundle.Open(r, size, options)
		if err != nil {
			return controlplane.ReadBundle{}, err
		}
		return b.Read(), nil
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

// API implements caddymodule.ControlPlane.
func (r *running) API() http.Handler {
	if at := r.desk.Load(); at != nil {
		return at.api
	}
	return nil
}

// Console implements caddymodule.ControlPlane.
func (r *running) Console() http.Handler {
	if at := r.desk.Load(); at != nil {
		return at.console
	}
	return nil
}

// Describe implements prometheus.Collector.
func (r *running) Describe(out chan<- *prometheus.Desc) { r.counts.Describe(out) }

// Collect implements prometheus.Collector.
func (r *running) Collect(out chan<- prometheus.Metric) { r.counts.Collect(out) }

// Close implements caddymodule.ControlPlane. The leadership is given up first:
// what this control plane stops, another is not to start before.
func (r *running) Close() error {
	r.ending.Store(true)
	if r.cancel != nil {
		r.cancel()
		r.work.Wait()
	}
	if at := r.desk.Load(); at != nil {
		at.people.close()
	}
	if err := r.tracer.close(); err != nil {
		r.Log.Warn("some starts are in no trace", zap.Error(err))
	}
	return r.closeLaunchers(func(string) bool { return true }, false)
}

// closeLaunchers closes some, all at once.
func (r *running) closeLaunchers(these func(name string) bool, stopWorkloads bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.grace+10*time.Second)
	defer cancel()
	errs := make(chan error, len(r.launchers))
	closing := 0
	for name, l := range r.launchers {
		if these(name) {
			closing++
			go func() { errs <- l.Close(ctx, stopWorkloads, r.grace) }()
		}
	}
	var all []error
	for range closing {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// insist repeats what fails because something does not answer, until ctx ends.
func (r *running) insist(ctx context.Context, what string, f func(context.Context) error) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	for told := false; ; {
		err := f(ctx)
		if err == nil || ctx.Err() != nil || controlplane.CodeOf(err) == controlplane.CodeDeposed {
			return
		}
		if !told {
			r.Log.Error(what+": will go on trying", zap.Error(err))
			told = true
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// latch is opened once.
type latch struct {
	once *sync.Once
	done chan struct{}
}

func newLatch() latch { return latch{new(sync.Once), make(chan struct{})} }

func (l latch) open() { l.once.Do(func() { close(l.done) }) }

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
