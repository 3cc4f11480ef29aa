// Package caddymodule is the edge: what Caddy loads.
//
//	slipway                                the app: settings, and the runtime behind them
//	http.handlers.slipway                  decides and answers, or hands on to
//	caddy.listeners.slipway                checks framing, in package framing
//	http.reverse_proxy.upstreams.slipway   the one endpoint of the request's instance
//	http.reverse_proxy.transport.slipway   connections kept by instance and generation,
//	                                       and checked, see package upstream/identity
//
// Instances and aliases are never Caddy configuration. They come from the
// store's watch into an immutable table behind an atomic pointer; a request
// reads the table once, and nothing else.
//
// What lives longer than one configuration (store client, feed, table, waiting
// requests, control plane) is one runtime in a caddy.UsagePool: a reload takes
// it over, and a change of a route reloads nothing.
//
// The control plane is the guest module slipway.control_plane, in package
// controlmodule. Without it the binary is a pure edge.
package caddymodule
