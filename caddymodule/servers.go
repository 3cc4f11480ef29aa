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
