// Package controlplane is Slipway's domain: what apps, instances and aliases
// are, the rules that hold between them, and the use cases that change them.
//
// An [App] is one imported bundle, identified by (Name, Version) and immutable
// but for visibility, tags, image and launch profile. An [Instance] is one run
// of an app with an ID, a status and a canonical URL of its own. An [Alias] is
// a host name that leads to an instance; the instance names its primary alias,
// so that two primaries cannot be written.
//
// Everything outside the domain is an adapter behind an interface that this
// package declares: [Store] (etcdstore), [Blobs] (blobs), and the launchers of
// package launcher. Adapters depend on this package, never on each other.
//
// [Service] has one method for each thing that a user can ask for. Each of them
// ends in at most one store transaction that compares the revisions it read,
// and every error that a user may see is an [*Error] with a code, the reason
// and what to do about it.
package controlplane
