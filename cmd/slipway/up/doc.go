// Package up is `slipway up`: everything on this machine, in one process and
// one folder (spec interfaces.md §2). It starts embedded etcd on a unix socket
// and then Caddy with the edge, the control plane and the launchers process
// and manual, exactly as a Caddyfile would have them.
//
// The folder holds:
//
//	lock         who uses it: a second `slipway up` is refused
//	cli.toml     endpoint and token of the local admin, for the command line
//	slipway.log  what the process logs
//	etcd/        the store
//	bundles/     the imported bundles
//	processes/   the instances
//	caddy/       what Caddy keeps
//	sample.json  which sample app was imported, so that a deleted one stays so
package up
