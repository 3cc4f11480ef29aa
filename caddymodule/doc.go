// Package caddymodule is the edge: what Caddy loads.
//
//	slipway                 the app: settings, and the runtime behind them
//	http.handlers.slipway   decides, and answers or sends the request to its instance
//	admin.api.slipway       what this edge has applied, and what it would answer
//	caddy.listeners.slipway checks framing, in package framing
//
// Instances and aliases are never Caddy configuration. They come from the
// store's watch into an immutable table behind an atomic pointer; a request
// reads the table once, and nothing else.
//
// What lives longer than one configuration (store client, feed, table, waiting
// requests, connections to instances, WebSockets, control plane) is one runtime in a caddy.UsagePool: a reload takes
// it over, and a change of a route reloads nothing.
//
// The control plane is the guest module slipway.control_plane, in package
// controlmodule. Without it the binary is a pure edge.
package caddymodule
