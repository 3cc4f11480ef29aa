package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Servers calls each with every address that the configuration's HTTP servers
// listen on, until it returns an error.
func Servers(ctx caddy.Context, each func(server string, a caddy.NetworkAddress) error) error {
	mod, err := ctx.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil
	}
	if err != nil {
		return err
	}
	for name, server := range mod.(*caddyhttp.App).Servers {
		for _, listen := range server.Listen {
			a, err := caddy.ParseNetworkAddress(listen)
			if err == nil {
				err = each(name, a)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Listeners calls each with every address that this process listens on for
// others, until it returns an error: those of Servers, health_listen and that of
// the control plane for other edges.
func Listeners(ctx caddy.Context, each func(a caddy.NetworkAddress) error) error {
	if err := Servers(ctx, func(_ string, a caddy.NetworkAddress) error { return each(a) }); err != nil {
		return err
	}
	mod, err := ctx.AppIfConfigured("slipway")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil
	}
	if err != nil {
		return err
	}
	app := mod.(*App)
	if app.HealthListen != "" {
		a, err := parseHealthListen(app.HealthListen)
		if err == nil {
			err = each(a)
		}
		if err != nil {
			return err
		}
	}
	if app.ControlListener == nil {
		return nil
	}
	a, err := caddy.ParseNetworkAddress(app.ControlListener.Listen)
	if err != nil {
		return err
	}
	return each(a)
}
