// Package controlmodule runs the control plane inside Caddy: the guest module
// slipway.control_plane of the app slipway, and the launchers that it can use,
// slipway.launchers.process and slipway.launchers.manual. A binary without
// this package is a pure edge.
package controlmodule
