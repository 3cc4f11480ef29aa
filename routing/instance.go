package routing

import "strings"

// Instance is what an edge needs to know of one live instance. A table's
// instances are shared by all its readers and never change.
type Instance struct {
	ID  ID
	App string // the app's ID, the key of its policy

	// Endpoint is where generation Generation answers; zero while it does not
	// run. Generation keys connections, so that none outlives a restart.
	Endpoint   Endpoint
	Generation int64

	// Identity says to whom Endpoint belongs, in the launcher's words: an edge
	// asks the system whether that is who answers. Empty where the endpoint
	// cannot be another's (spec routing.md §8).
	Identity string

	// Primary names the alias that the canonical URL uses: a label below the
	// base domain, or a custom host name (it contains a dot); "" is none.
	Primary string

	Owner      string
	Mode       Mode
	Status     Status
	Visibility Visibility
	Wake       WakePolicy

	// Stopping says of a SUSPENDING instance that the time for its requests is
	// over: what is still open is ended.
	Stopping bool
}

// Alias is a host name that leads to an instance, or to none.
type Alias struct {
	// Name is one label below the base domain or, if it contains a dot, a
	// whole custom host name; lower case, see [ValidAliasName].
	Name string

	// Instance is where it leads. Unless Assigned it leads nowhere, and
	// Instance is zero or who had it last.
	Instance ID
	Assigned bool
}

// ValidAliasName reports whether a host can carry the name: a label or a
// dotted host name in lower case, no UUID (a label of that shape is only ever
// an instance ID) and no IPv4 address. A table may hold other names, but no
// request reaches them. Which names may be *created* is narrower, and the
// control plane's rule.
func ValidAliasName(name string) bool {
	host, ok := parseHost(name, "")
	if !ok || host.upper || len(host.name) != len(name) {
		return false
	}
	if strings.IndexByte(name, '.') >= 0 {
		return !numericLast(name)
	}
	_, isID := ParseID(name)
	return !isID
}
