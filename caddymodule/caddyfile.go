package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("slipway", parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective("slipway", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("slipway", httpcaddyfile.Before, "reverse_proxy")
}

// parseDirective reads the directive in a site. It has no options.
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next()
	if h.NextBlock(0) || h.NextArg() {
		return nil, h.Err("the directive slipway has no options; settings belong into the global option slipway")
	}
	return new(Handler), nil
}

// parseGlobalOption reads the global option:
//
//	slipway {
//		base_url URL
//		console_host HOST
//		health_listen ADDRESS
//		etcd URL... {
//			ca FILE
//			cert FILE KEYFILE
//			username NAME
//			password_file FILE
//			prefix PREFIX
//		}
//		snapshot DIR
//		edge_name NAME
//		control_plane [ADDRESS {
//			advertise ADDRESS
//			tls_name NAME
//			cert FILE KEYFILE
//			client_ca FILE
//		}]
//		control_client {
//			ca FILE
//			cert FILE KEYFILE
//		}
//		blobs DIR
//		secret_keys FILE
//		launcher NAME {
//			...
//		}
//		alias_redirect safe|strict
//		routing_mode DOMAIN|BASE_URL
//		oidc ISSUER CLIENT_ID {
//			client_secret_file FILE
//			wave_client CLIENT_ID SECRET_FILE
//			scopes NAME...
//			ca FILE
//		}
//		roles_claim PATH
//		admin_role | full_access_role ROLE
//		reserved_aliases NAME...
//		trusted_proxies ADDRESS|CIDR...
//		hold | page_grace | drain | stop_grace DURATION
//		first_byte_timeout | health_timeout | presence_timeout DURATION
//		instance_timeout DURATION|never
//		waiters_per_instance | waiters_per_source | waiters_per_edge | starts_at_once NUMBER
//		probes TEXT...
//		max_upload BYTES
//		bundle_limits {
//			upload | unpacked BYTES
//			entries | ratio NUMBER
//		}
//		public_mode | base_url_sharing | user_aliases [on|off]
//		instances_per_user | instances_per_visitor | versions_per_user | starts_per_user NUMBER
//		secrets_per_user NUMBER
//		starts_per_source | anonymous_starts NUMBER
//		runtime_version NAME {
//			default
//			deprecated
//			image IMAGE
//			python VERSION
//		}
//		launch_profile NAME {
//			memory_limit | memory_reservation | cpu_limit | cpu_reservation QUANTITY
//			gpu_count NUMBER
//			gpu_type TYPE
//		}
//		default_resources | max_resources {
//			...
//		}
//		allowed_images | allowed_env | category_tags EXPRESSION...
//		gpu_types TYPE...
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the option slipway is given twice")
	}
	app, err := parseOption(d, false)
	if err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "slipway", Value: caddyconfig.JSON(app, nil)}, nil
}

// parseOption reads one `slipway { … }` block, whose first token comes next.
// With runs the block is a control plane's without saying so.
func parseOption(d *caddyfile.Dispenser, runs bool) (*App, error) {
	d.Next()
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	p := parser{
		Dispenser: d, app: new(App), runs: runs,
		seen: Given{}, control: map[string]json.RawMessage{}, launchers: map[string]json.RawMessage{},
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := p.once(d.Val()); err != nil {
			return nil, err
		}
		if err := p.option(); err != nil {
			return nil, err
		}
	}
	return p.app, p.finish()
}

type parser struct {
	*caddyfile.Dispenser
	app       *App
	runs      bool // control_plane was given
	seen      Given
	control   map[string]json.RawMessage
	launchers map[string]json.RawMessage
}

// once is Given.Once of all blocks.
func (p *parser) once(name string) error { return p.seen.Once(p.Dispenser, name, repeated...) }

func (p *parser) option() error {
	s := &p.app.Settings
	switch p.Val() {
	case "base_url":
		return p.one(&s.BaseURL)
	case "console_host":
		return p.one(&s.ConsoleHost)
	case "health_listen":
		return p.one(&s.HealthListen)
	case "alias_redirect":
		return p.one(&s.AliasRedirect)
	case "routing_mode":
		return p.one(&s.RoutingMode)
	case "oidc":
		return p.oidc()
	case "roles_claim":
		return p.one(&s.RolesClaim)
	case "admin_role":
		return p.one(&s.AdminRole)
	case "full_access_role":
		return p.one(&s.FullAccessRole)
	case "reserved_aliases":
		if s.ReservedAliases = p.RemainingArgs(); len(s.ReservedAliases) == 0 {
			return p.ArgErr()
		}
		return nil
	case "trusted_proxies":
		if s.TrustedProxies = p.RemainingArgs(); len(s.TrustedProxies) == 0 {
			return p.ArgErr()
		}
		return nil
	case "hold":
		return p.duration(&s.Hold)
	case "page_grace":
		return p.duration(&s.PageGrace)
	case "drain":
		return p.duration(&s.Drain)
	case "presence_timeout":
		return p.duration(&s.PresenceTimeout)
	case "instance_timeout":
		return p.durationOrNever(&s.InstanceTimeout)
	case "waiters_per_instance":
		return p.number(&s.WaitersPerInstance)
	case "waiters_per_source":
		return p.number(&s.WaitersPerSource)
	case "waiters_per_edge":
		return p.number(&s.WaitersPerEdge)
	case "starts_at_once":
		return p.number(&s.StartsAtOnce)
	case "starts_per_source":
		return p.number(&s.StartsPerSource)
	case "anonymous_starts":
		return p.number(&s.AnonymousStarts)
	case "probes":
		if s.Probes = p.RemainingArgs(); len(s.Probes) == 0 {
			return p.ArgErr()
		}
		return nil
	case "first_byte_timeout":
		return p.duration(&s.FirstByteTimeout)
	case "health_timeout":
		return p.duration(&s.HealthTimeout)
	case "stop_grace":
		return p.duration(&s.StopGrace)
	case "max_upload":
		return p.bytes(&s.MaxUpload)
	case "bundle_limits":
		return p.bundleLimits()
	case "public_mode":
		return p.onOff(&s.PublicMode)
	case "base_url_sharing":
		s.BaseURLSharing = new(bool)
		return p.onOff(s.BaseURLSharing)
	case "user_aliases":
		return p.onOff(&s.UserAliases)
	case "instances_per_user":
		return p.number(&s.InstancesPerUser)
	case "instances_per_visitor":
		return p.number(&s.InstancesPerVisitor)
	case "versions_per_user":
		return p.number(&s.VersionsPerUser)
	case "secrets_per_user":
		return p.number(&s.SecretsPerUser)
	case "starts_per_user":
		return p.number(&s.StartsPerUser)
	case "etcd":
		return p.etcd()
	case "snapshot":
		return p.one(&p.app.Snapshot)
	case "edge_name":
		return p.one(&p.app.EdgeName)
	case "control_plane":
		p.runs = true
		return p.controlListener()
	case "control_client":
		return p.controlClient()
	case "blobs", "secret_keys":
		name, path := p.Val(), ""
		if err := p.one(&path); err != nil {
			return err
		}
		p.control[name] = caddyconfig.JSON(path, nil)
		return nil
	case "launcher":
		return p.launcher()
	}
	if known, err := p.appOption(); known {
		return err
	}
	return p.Errf("slipway has no setting %q; docs/configuration.md lists them", p.Val())
}

func (p *parser) etcd() error {
	e := &p.app.Etcd
	if e.Endpoints = p.RemainingArgs(); len(e.Endpoints) == 0 {
		return p.ArgErr()
	}
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		err := p.once("etcd's " + p.Val())
		if err != nil {
			return err
		}
		switch p.Val() {
		case "ca":
			err = p.one(&e.CA)
		case "cert":
			if !p.Args(&e.Cert, &e.Key) || p.NextArg() {
				err = p.ArgErr()
			}
		case "username":
			err = p.one(&e.Username)
		case "password_file":
			err = p.one(&e.PasswordFile)
		case "prefix":
			err = p.one(&e.Prefix)
		default:
			err = p.Errf("etcd has no setting %q; there are ca, cert, username, password_file and prefix", p.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish puts the control plane's settings together.
func (p *parser) finish() error {
	if !p.runs {
		if len(p.control) > 0 || len(p.launchers) > 0 {
			return errors.New("slipway: blobs, secret_keys and launcher belong to a control plane: add control_plane, or leave them out on a pure edge")
		}
		return nil
	}
	if len(p.launchers) > 0 {
		p.control["launchers"] = caddyconfig.JSON(p.launchers, nil)
	}
	p.app.ControlPlaneRaw = caddyconfig.JSON(p.control, nil)
	return nil
}

// ParseSnippet reads a file that holds one `slipway { … }` block and nothing
// else, for a process that is the control plane anyhow.
func ParseSnippet(filename string, text []byte) (*App, error) {
	tokens, err := caddyfile.Tokenize(text, filename)
	if err != nil && !errors.Is(err, io.EOF) { // the tokenizer's word for an empty file
		return nil, err
	}
	d := caddyfile.NewDispenser(tokens)
	if !d.Next() || d.Val() != "slipway" {
		return nil, fmt.Errorf("%s does not begin with a block slipway { … }", filename)
	}
	d.Reset()
	app, err := parseOption(d, true)
	if err != nil {
		return nil, err
	}
	if d.Next() {
		return nil, d.Errf("unexpected %q after the block slipway", d.Val())
	}
	return app, nil
}
