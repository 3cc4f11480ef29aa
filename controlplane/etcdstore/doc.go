// Package etcdstore keeps the control plane's records in etcd and feeds the
// edges' route tables from it (spec interfaces.md §5).
//
// # Keys
//
// All keys lie below one prefix, by default /slipway/v1/:
//
//	apps/record/<ID>                       an app
//	apps/instances/<app ID>/<instance ID>  empty: which instances an app has
//	names/<name>                           who owns an app name (lower case)
//	names/<name>/<version>                 the app of that name and version
//	instances/<ID>                         an instance
//	aliases/record/<name>                  an alias
//	aliases/id/<ID>                        the name of an alias
//	tokens/<SHA-256>                       a personal token
//	tokens/of/<user>/<ID>                  the hash of a user's token
//	users/record/<name>                    a user (names in lower case here)
//	users/subject/<SHA-256>                the user of an issuer and subject
//	users/apps/<name>/<ID>, users/instances/<name>/<ID>
//	                                       empty: what a user owns
//	users/sessions/<name>/<ID>             empty: which sessions a user has
//	sessions/<ID>                          a sign-in at the console
//	once/<kind>/<key>                      what is good for one use, or was used
//	starts/<kind>/<of>                     when the last starts by a user or source were
//	apps/starts/<ID>                       how long the last starts of an app took
//	events/<ID>                            what happened to an instance
//	tags/<name>                            a tag
//	secrets/record/all/<name>, secrets/record/app/<app's name>/<name>,
//	secrets/record/private/<owner>/<name>  a secret, without its values
//	secrets/sealed/…                       likewise: its values, encrypted
//	audit/<ID>                             a record of a change, in the order of time
//	signing/<name>                         a secret of the control planes
//	routes/instance/<ID>, routes/alias/<name>, routes/policy/<app>
//	                                       the projection that edges watch
//	routes/keys/<kid>                      a public key that passes are signed by
//	routes/revoked/user/<name>, routes/revoked/credential/<ID>
//	                                       what counts no more, for an hour
//	routes/settings                        what all edges obey alike
//	routes/mark                            empty: a change that all edges report
//	routes/progress/<ID>                   how far the start of an instance is
//	routes/limited/<kind>/<of>             by whom visits start nothing for now
//	wake/<ID>                              an edge's intent to wake an instance
//	edges/<name>                           a live edge and what it has applied
//	activity/<edge>/<n>                    what an edge saw of instances
//	leader/current                         which control plane leads, with a lease
//	leader/epoch                           how many have led: the last one's epoch
//	launchers/<name>                       where a launcher's workloads are
//	control/<name>                         where a live control plane answers
//
// # Values
//
// Values are JSON objects with a schema version "v". A record is rewritten
// with the fields that this version of the program does not know kept as they
// are; one with a newer schema version is never rewritten.
//
// # Transactions
//
// [Store.Update] is optimistic: reads remember the revision of each key, the
// commit compares them all, and a conflict runs the function again. A record
// and the routes that follow from it are written by the same etcd transaction,
// so an edge never sees half a change.
//
// Sessions, tokens, revocations and what is good for one use have a lease, so
// that they go away by themselves. A rewrite keeps the lease.
//
// # Presence
//
// Edges and control planes are known by keys with a lease of 10 seconds:
// [Store.Present] keeps one. A key belongs to the process that created it; each
// rewrite compares the revision of the one before, so that two processes with
// one name never take turns.
//
// # Leadership
//
// [Store.Campaign] elects one of several control planes: who creates
// leader/current leads, with a lease of 6 seconds. The leader renews it every
// 1.5 s and gives up by its own clock a second before the lease can end. Each
// transaction of its store compares the key's create revision and lease, so
// that one which was held up changes nothing any more. Its epoch is larger than
// every one before it, also after a backup was restored: it is the time in
// milliseconds, or the last one and one where that is more.
//
// # Feed
//
// [Feed] lists a prefix and then watches it from that revision. Each call of
// its sink carries whole etcd revisions. Compaction, a lost stream and a
// restored backup end in a new full list; the sink is told that it is full and
// diffs it against what it has.
package etcdstore
