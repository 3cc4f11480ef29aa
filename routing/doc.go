// Package routing answers one question: who answers this request?
//
// It is pure. A [Table] (every instance and alias, immutable) and a [Site] (the
// configured names) turn a [Request] into a [Decision]; nothing is dialled,
// read, woken or locked, and nothing is allocated unless a redirect's Location
// is built. The rules are spec/routing.md, §1 to §4; a [Rule] in the decision
// names the one that counted.
//
// # One parse
//
// The host is lower-cased, loses one trailing dot and its port, and must then
// be labels of letters, digits and hyphens. A target in absolute form brings
// its own host. The path is never cleaned or decoded: "/instance/<ID>" is
// matched on the raw bytes. Whatever fails here is answered 400; TRACE and a
// CONNECT without a protocol were answered 405 before.
//
// # One decision
//
//	base domain      /instance/<ID>, then "/" or the end   that instance, by path
//	                 /api/… /livez /readyz /ocs/…          the control plane
//	                 /                                     302 to the console
//	console host                                           the console
//	<ID>.<base>      a label of UUID shape                 that instance, never an alias
//	<alias>.<base>   or a custom host name                 the alias's instance
//	anything else                                          404
//
// Each instance has exactly one canonical URL, which is never redirected:
//
//	mode      no primary alias         primary alias P
//	DOMAIN    <ID>.<base>/             P/
//	BASE_URL  <base>/instance/<ID>/    P/instance/<ID>/
//
// At any other of its names a request is redirected there in one hop: 307
// where the mode is wrong, 302 where only the name is (307 too unless the
// method is GET or HEAD, or the site is strict). What follows the name, path
// and query, is carried byte for byte, and the prefix is added once. A
// WebSocket upgrade in the right mode under another name is served in place if
// the instance is PUBLIC or the request carries a bearer. A ".." segment in
// any encoding is refused where the canonical URL has a prefix to escape from.
// On the canonical URL, paths below "/.slipway/" are Slipway's own.
//
// # No loops
//
// A primary alias counts only if the table's alias of that name leads back to
// the instance and its host can be reached; a record that says otherwise (a
// half-written store, a name that the console has) is as good as no primary.
// So a redirect always lands on a URL that is served, whatever is in the table.
//
// # The table
//
// [Table.Apply] returns a new table with one revision's changes that shares
// all else with the old one: two levels of 64 over small hash tables, of which
// only the touched ones are cloned. Readers hold a table as long as they like.
package routing
