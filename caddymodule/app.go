package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
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

// Etcd says where etcd is.
type Etcd struct {
	// URLs of the members: https://host:port, http://host:port or unix:///path.
	Endpoints []string `json:"endpoints,omitempty"`
	// PEM file of the authority that signed the members' certificates.
	// Default: those that the system trusts.
	CA string `json:"ca,omitempty"`
	// PEM files of the client certificate and its key. Default: none.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// User of etcd's own authentication, and the file that holds the password.
	// Default: none.
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`
	// Prefix of all keys. Default: /slipway/v1/.
	Prefix string `json:"prefix,omitempty"`
}

func (e Etcd) config(log *zap.Logger) etcdstore.Config {
	return etcdstore.Config{
		Endpoints: e.Endpoints, CA: e.CA, Cert: e.Cert, Key: e.Key,
		Username: e.Username, PasswordFile: e.PasswordFile, Prefix: e.Prefix, Log: log,
	}
}

// checkEndpoint refuses what the client would take for the name of a host, and
// look for in vain.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
	case u.Scheme == "unix" && u.Host+u.Path != "":
		return nil
	case u.Scheme != "http" && u.Scheme != "https", u.Port() == "", u.Path != "" && u.Path != "/", u.User != nil:
	case strings.ContainsAny(endpoint, "?#"):
	default:
		return nil
	}
	return fmt.Errorf("etcd: %q is none of https://host:port, http://host:port and unix:///path", endpoint)
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

// Settings are the settings of spec interfaces.md §6 that this version knows.
// A reload applies those of the edge; those of the control plane need a restart.
type Settings struct {
	// The one public origin, e.g. https://apps.example.com. Required. Its host
	// is the base domain. Edge and control plane.
	BaseURL string `json:"base_url"`
	// The host of the console. Default: "console." + base domain. Edge.
	ConsoleHost string `json:"console_host,omitempty"`
	// An address of its own where /livez and /readyz answer for any Host, such
	// as 127.0.0.1:9090. Default: none; the base domain has them anyhow. Edge.
	HealthListen string `json:"health_listen,omitempty"`
	// "safe" (default): an alias redirect is 302 for GET and HEAD, 307 for
	// other methods. "strict": 302 for all, as in the App Store. Edge.
	AliasRedirect string `json:"alias_redirect,omitempty"`
	// How long a request waits for a sleeping instance. Default: 60s. Edge.
	Hold caddy.Duration `json:"hold,omitempty"`
	// How long a page load waits for a sleeping instance before it gets the
	// waiting page. Default: 800ms. Edge.
	PageGrace caddy.Duration `json:"page_grace,omitempty"`
	// How many requests may wait for one instance, and for all. Defaults: 10000
	// and 50000. Edge.
	WaitersPerInstance int64 `json:"waiters_per_instance,omitempty"`
	WaitersPerEdge     int64 `json:"waiters_per_edge,omitempty"`
	// What the User-Agent of link unfurlers and uptime probes contains, without
	// regard to case, beside those that docs/waking.md lists: their visits wake
	// nothing and are no activity. Default: none. Edge.
	Probes []string `json:"probes,omitempty"`
	// How long an app may take to the first byte of its answer. Default: 300s. Edge.
	FirstByteTimeout caddy.Duration `json:"first_byte_timeout,omitempty"`
	// Addresses and networks (CIDR) of proxies in front of the edge, whose
	// X-Forwarded-For, -Host and -Proto are taken for true and passed on.
	// Default: none. Edge.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`

	// DOMAIN (default) or BASE_URL, for apps that name none. Control plane.
	RoutingMode string `json:"routing_mode,omitempty"`
	// The OpenID provider that people sign in at. Default: none; then there is
	// one local admin, whom one-time links sign in. Control plane.
	OIDC *OIDC `json:"oidc,omitempty"`
	// Where the provider's tokens hold roles: names with dots between them.
	// Default: realm_access.roles. Control plane.
	RolesClaim string `json:"roles_claim,omitempty"`
	// The role that makes an admin. Default: admin. Control plane.
	AdminRole string `json:"admin_role,omitempty"`
	// The role that gives full access; who has neither is a visitor. Default:
	// none; then everybody who signs in has full access. Control plane.
	FullAccessRole string `json:"full_access_role,omitempty"`
	// Names that no alias may have, beside the console's label. Default: api
	// www admin auth login instance static mail. Control plane.
	ReservedAliases []string `json:"reserved_aliases,omitempty"`
	// How long a start may take until the app answers. Default: 90s. Control plane.
	HealthTimeout caddy.Duration `json:"health_timeout,omitempty"`
	// How long an app may take to end when it is asked to. Default: 30s. Control plane.
	StopGrace caddy.Duration `json:"stop_grace,omitempty"`
	// How long requests under way may take to end when an instance goes to sleep.
	// Default: 30s. Control plane.
	Drain caddy.Duration `json:"drain,omitempty"`
	// After how long without activity an instance goes to sleep whose app says
	// nothing about it. Default: 8h. Below 0 is never; "never" in a Caddyfile.
	// Control plane.
	InstanceTimeout caddy.Duration `json:"instance_timeout,omitempty"`
	// For how long after the last activity a WebSocket that only answers pings
	// keeps an instance awake. Default: 24h. Control plane.
	PresenceTimeout caddy.Duration `json:"presence_timeout,omitempty"`
	// How many instances are started at once; others queue. Default: 20. Control plane.
	StartsAtOnce int64 `json:"starts_at_once,omitempty"`
	// Size of the largest bundle, in bytes. Default: 1 GiB. Control plane.
	MaxUpload int64 `json:"max_upload,omitempty"`

	// Show PUBLIC apps to people who are not signed in, too. Default: false, and
	// they count as ALL_USERS. Control plane.
	PublicMode bool `json:"public_mode,omitempty"`
	// Let others than its owner open an instance of BASE_URL mode: all of those
	// share one origin, so that each app can act in the others as its visitor.
	// Default: false. Control plane.
	BaseURLSharing *bool `json:"base_url_sharing,omitempty"`
	// Let owners create, assign and promote aliases of their own instances.
	// Default: false, and aliases are the admins'. Control plane.
	UserAliases bool `json:"user_aliases,omitempty"`
	// How many instances a user has at most, and a visitor. Defaults: 10 and 5.
	// Control plane.
	InstancesPerUser    int64 `json:"instances_per_user,omitempty"`
	InstancesPerVisitor int64 `json:"instances_per_visitor,omitempty"`
	// How many versions of apps a user has at most. Default: 10. Control plane.
	VersionsPerUser int64 `json:"versions_per_user,omitempty"`
	// How many instances a user starts within an hour at most. Default: 60.
	// Control plane.
	StartsPerUser int64 `json:"starts_per_user,omitempty"`
	// How many instances visits from one source address (IPv6: /64) start within
	// an hour at most, and those by visitors who are not signed in. Loopback is
	// not counted. Defaults: 60 and 30. Control plane.
	StartsPerSource int64 `json:"starts_per_source,omitempty"`
	AnonymousStarts int64 `json:"anonymous_starts,omitempty"`
}

func (s *Settings) setDefaults() {
	setDefault(&s.AliasRedirect, "safe")
	setDefault(&s.RoutingMode, string(controlplane.Domain))
	setDefault(&s.RolesClaim, "realm_access.roles")
	setDefault(&s.AdminRole, "admin")
	if s.OIDC != nil && s.OIDC.Scopes == nil {
		s.OIDC.Scopes = []string{"profile", "email"}
	}
	setDefault(&s.Hold, caddy.Duration(time.Minute))
	setDefault(&s.PageGrace, caddy.Duration(800*time.Millisecond))
	setDefault(&s.WaitersPerInstance, 10_000)
	setDefault(&s.WaitersPerEdge, 50_000)
	setDefault(&s.FirstByteTimeout, caddy.Duration(5*time.Minute))
	setDefault(&s.HealthTimeout, caddy.Duration(90*time.Second))
	setDefault(&s.StopGrace, caddy.Duration(30*time.Second))
	setDefault(&s.Drain, caddy.Duration(30*time.Second))
	setDefault(&s.InstanceTimeout, caddy.Duration(8*time.Hour))
	setDefault(&s.PresenceTimeout, caddy.Duration(24*time.Hour))
	setDefault(&s.StartsAtOnce, 20)
	setDefault(&s.MaxUpload, 1<<30)
	setDefault(&s.BaseURLSharing, new(bool))
	setDefault(&s.InstancesPerUser, 10)
	setDefault(&s.InstancesPerVisitor, 5)
	setDefault(&s.VersionsPerUser, 10)
	setDefault(&s.StartsPerUser, 60)
	setDefault(&s.StartsPerSource, 60)
	setDefault(&s.AnonymousStarts, 30)
	if s.ReservedAliases == nil {
		s.ReservedAliases = controlplane.DefaultReservedAliases
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (s *Settings) validate() error {
	var errs []error
	if s.AliasRedirect != "safe" && s.AliasRedirect != "strict" {
		errs = append(errs, fmt.Errorf("alias_redirect is safe or strict, not %q", s.AliasRedirect))
	}
	if s.RoutingMode != string(controlplane.Domain) && s.RoutingMode != string(controlplane.BaseURL) {
		errs = append(errs, fmt.Errorf("routing_mode is DOMAIN or BASE_URL, not %q", s.RoutingMode))
	}
	for name, d := range map[string]caddy.Duration{
		"hold": s.Hold, "first_byte_timeout": s.FirstByteTimeout, "health_timeout": s.HealthTimeout, "stop_grace": s.StopGrace,
		"page_grace": s.PageGrace, "drain": s.Drain, "presence_timeout": s.PresenceTimeout,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s is a duration above 0, not %s", name, time.Duration(d)))
		}
	}
	for name, n := range map[string]int64{
		"max_upload": s.MaxUpload, "instances_per_user": s.InstancesPerUser, "instances_per_visitor": s.InstancesPerVisitor,
		"versions_per_user": s.VersionsPerUser, "starts_per_user": s.StartsPerUser,
		"starts_per_source": s.StartsPerSource, "anonymous_starts": s.AnonymousStarts, "starts_at_once": s.StartsAtOnce,
		"waiters_per_instance": s.WaitersPerInstance, "waiters_per_edge": s.WaitersPerEdge,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is a number above 0, not %d", name, n))
		}
	}
	errs = append(errs, s.OIDC.validate())
	return errors.Join(errs...)
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
	if err := ctx.GetMetricsRegistry().Register(&a.runtime.metrics); err != nil {
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

// ControlPlaneModule is a guest module that runs the control plane in the
// edge's process. Its ID is slipway.control_plane.
type ControlPlaneModule interface {
	StartControlPlane(ctx context.Context, d ControlPlaneDeps) (ControlPlane, error)
}

// ControlPlaneDeps is what the edge lends to the control plane.
type ControlPlaneDeps struct {
	Store *etcdstore.Store
	Site  *routing.Site
	// Explain tells what this edge would do with a request.
	Explain  func(controlplane.ExplainRequest) (*controlplane.Explanation, error)
	Settings Settings
	// Changes is what this edge learnt of the routes, and when.
	Changes *controlplane.Changes
	Log     *zap.Logger
}

// ControlPlane is a running control plane.
type ControlPlane interface {
	API() http.Handler     // below /api/
	Console() http.Handler // the console's host
	Close() error          // returns when it has ended
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
