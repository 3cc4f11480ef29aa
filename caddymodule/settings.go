package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

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
	// How many requests may wait for one instance, from one source address (IPv6:
	// /64; loopback is not counted), and in all. Defaults: 10000, 1000 and 50000.
	// Edge.
	WaitersPerInstance int64 `json:"waiters_per_instance,omitempty"`
	WaitersPerSource   int64 `json:"waiters_per_source,omitempty"`
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
	// The other limits of bundles. Control plane.
	BundleLimits BundleLimits `json:"bundle_limits,omitzero"`

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
	// How many PRIVATE secrets a user has at most. Default: 100. Control plane.
	SecretsPerUser int64 `json:"secrets_per_user,omitempty"`
	// How many instances a user starts within an hour at most. Default: 60.
	// Control plane.
	StartsPerUser int64 `json:"starts_per_user,omitempty"`
	// How many instances visits from one source address (IPv6: /64) start within
	// an hour at most, and those by visitors who are not signed in. Loopback is
	// not counted. Defaults: 60 and 30. Control plane.
	StartsPerSource int64 `json:"starts_per_source,omitempty"`
	AnonymousStarts int64 `json:"anonymous_starts,omitempty"`

	AppSettings
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
	setDefault(&s.WaitersPerSource, 1000)
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
	setDefault(&s.SecretsPerUser, 100)
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
		"versions_per_user": s.VersionsPerUser, "secrets_per_user": s.SecretsPerUser, "starts_per_user": s.StartsPerUser,
		"starts_per_source": s.StartsPerSource, "anonymous_starts": s.AnonymousStarts, "starts_at_once": s.StartsAtOnce,
		"waiters_per_instance": s.WaitersPerInstance, "waiters_per_source": s.WaitersPerSource, "waiters_per_edge": s.WaitersPerEdge,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is a number above 0, not %d", name, n))
		}
	}
	if slices.ContainsFunc(s.Probes, func(probe string) bool { return strings.TrimSpace(probe) == "" }) {
		errs = append(errs, errors.New("probes: an empty one is contained in every User-Agent"))
	}
	errs = append(errs, s.OIDC.validate(), s.BundleLimits.validate())
	return errors.Join(errs...)
}
