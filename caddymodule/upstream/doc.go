// Package upstream sends requests to the apps of instances.
//
// It is a reverse proxy for one purpose: a request has an instance and its
// endpoint already, and goes there as it came. A request is written, and its
// answer read, on the request's own goroutine over a pooled connection; only a
// request body of more than a few KiB has a second one, since an app may
// answer while it still reads.
//
// Connections are kept by instance and generation, not by address: what is
// written into one can only reach the process that it was opened to. A [Client]
// lives as long as the process, over reloads of the configuration, and so do
// the WebSockets that it carries.
//
// What reaches the app, and what of its answer reaches the visitor, is spec
// routing.md §5 and §6. Bodies, server-sent events, trailers, informational
// answers and WebSockets stream: an answer is flushed whenever the next read
// of it would wait.
//
// A request that could not connect may be tried again ([ErrConnect]). One that
// was sent is repeated once, if it is idempotent, had no body and nothing came
// back, by this call of Serve or by a later one. A visitor who leaves is never
// the app's fault.
package upstream
