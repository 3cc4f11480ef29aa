// Package manual is the launcher that runs nothing: an app of mode manual names
// an address where something answers already (spec instances.md §5).
//
// The address is resolved before each probe, and every IP address that it has
// must lie in one of Config.Allow and not be refused by Config.Deny: a name
// that an app's author controls must not become a way into other networks. A
// wide network does not allow loopback, link-local and metadata addresses; one
// that lies within such a range does. The probe connects to the very address
// that was checked, and that address is the endpoint.
//
// A start is ready once the port accepts and the declared health path answers
// 2xx or 3xx. Ready workloads are probed on; three failures in a row are their
// end. Stopping and removing forget the workload, and what answers goes on.
// There are no logs, and nothing is kept when the launcher resigns: who leads
// next starts again what should run.
package manual
