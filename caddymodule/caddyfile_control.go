package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// controlListener reads what follows control_plane: an address for other
// edges, and how they reach it.
func (p *parser) controlListener() error {
	c := new(ControlListener)
	if !p.Args(&c.Listen) {
		for nesting := p.Nesting(); p.NextBlock(nesting); {
			return p.Errf("control_plane has the setting %s only with an address", p.Val())
		}
		return nil
	}
	if p.NextArg() {
		return p.ArgErr()
	}
	p.app.ControlListener = c
	return p.block("control_plane", map[string]func() error{
		"advertise": func() error { return p.one(&c.Advertise) },
		"tls_name":  func() error { return p.one(&c.TLSName) },
		"cert":      func() error { return p.pair(&c.Cert, &c.Key) },
		"client_ca": func() error { return p.one(&c.ClientCA) },
	})
}

// controlClient reads how an edge without a control plane reaches one.
func (p *parser) controlClient() error {
	if p.NextArg() {
		return p.ArgErr()
	}
	c := new(ControlClient)
	p.app.ControlClient = c
	return p.block("control_client", map[string]func() error{
		"ca":   func() error { return p.one(&c.CA) },
		"cert": func() error { return p.pair(&c.Cert, &c.Key) },
	})
}

// block reads the settings of a block, each at most once.
func (p *parser) block(of string, settings map[string]func() error) error {
	for nesting := p.Nesting(); p.NextBlock(nesting); {
		read := settings[p.Val()]
		if read == nil {
			return p.Errf("%s has no setting %q; docs/configuration.md lists them", of, p.Val())
		}
		if err := p.once(of + "'s " + p.Val()); err != nil {
			return err
		}
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) pair(cert, key *string) error {
	if !p.Args(cert, key) || p.NextArg() {
		return p.ArgErr()
	}
	return nil
}

// launcher reads one launcher's block by the module of that name.
func (p *parser) launcher() error {
	var name string
	if !p.Args(&name) {
		return p.ArgErr()
	}
	if p.launchers[name] != nil {
		return p.Errf("launcher %s is given twice", name)
	}
	unm, err := caddyfile.UnmarshalModule(p.Dispenser, "slipway.launchers."+name)
	if err != nil {
		return err
	}
	p.launchers[name] = caddyconfig.JSON(unm, nil)
	return nil
}
