// Package client is the Go client of the HTTP API below /api/v1 (spec
// interfaces.md §4).
//
// A [Client] is safe for concurrent use. Every call takes a context, and a
// call that is cancelled returns the context's error. A call that moves little
// data ends after [CallTimeout]; bundles, logs and the audit as it is written
// end with their context only.
// IDs may be unique prefixes: the server completes them.
//
// Every other error is an *[Error]: what the server answered
// (application/problem+json, RFC 9457), or code "unavailable" where nothing
// answered. Answers are read up to a limit.
//
// The token goes to the endpoint's own origin and nowhere else: redirects are
// errors, none is followed.
//
// localhost and names below it are dialled as 127.0.0.1, then [::1], whatever
// the resolver says (RFC 6761 §6.3), since many resolvers do not know
// names such as sales.localhost; see [LoopbackTransport].
package client
