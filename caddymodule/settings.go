package caddymodule

import (
	"errors"
	"fmt"
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
	setDefault(&s.FirstByteTimeout, caddy.Duration(5*time.Minute))
	setDefault(&s.HealthTimeout, caddy.Duration(90*time.Second))
	setDefault(&s.StopGrace, caddy.Duration(30*time.Second))
	setDefault(&s.MaxUpload, 1<<30)
	setDefault(&s.BaseURLSharing, new(bool))
	setDefault(&s.InstancesPerUser, 10)
	setDefault(&s.InstancesPerVisitor, 5)
	setDefault(&s.VersionsPerUser, 10)
	setDefault(&s.StartsPerUser, 60)
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
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s is a duration above 0, not %s", name, time.Duration(d)))
		}
	}
	for name, n := range map[string]int64{
		"max_upload": s.MaxUpload, "instances_per_user": s.InstancesPerUser, "instances_per_visitor": s.InstancesPerVisitor,
		"versions_per_user": s.VersionsPerUser, "starts_per_user": s.StartsPerUser,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is a number above 0, not %d", name, n))
		}
	}
	errs = append(errs, s.OIDC.validate())
	return errors.Join(errs...)
}
