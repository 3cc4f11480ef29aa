// Package upstreamtest is the conformance suite of ways to an app: of what
// passes a visitor's request on, and the app's answer back (spec routing.md §5
// and §6).
//
// [Run] puts a way behind a real server (HTTP/1.1 and HTTP/2 without TLS, real
// sockets) and a scripted app behind the way, and compares what the app saw and
// what the visitor got with what they should. It runs over other proxies as
// well: what these do otherwise is a table of [Differences], so that the suite
// compares them, and says so when an entry is true no more.
package upstreamtest
