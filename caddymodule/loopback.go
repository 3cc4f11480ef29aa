package caddymodule

import (
	"errors"
	"fmt"
	"net/netip"

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

// onlyLoopback holds the rule that nothing listens beyond this machine while
// nobody has to sign in: visibility is stored and not enforced yet.
func onlyLoopback(ctx caddy.Context) error {
	return Servers(ctx, func(name string, a caddy.NetworkAddress) error {
		ip, err := netip.ParseAddr(a.Host)
		if a.IsUnixNetwork() || a.Host == "localhost" || err == nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("server %s listens on %s: until there is sign-in, everybody who reaches it could open every instance; "+
			"listen on loopback only, with the global option default_bind 127.0.0.1", name, a)
	})
}
