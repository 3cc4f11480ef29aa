// The engine of the OpenID provider for tests, controlplane/identity/oidctest:
// github.com/ory/fosite with its memory store, and nothing that lasts.
//
// It is a program and a module of its own, since fosite and Caddy need two
// releases of github.com/dgraph-io/ristretto that do not go together: Slipway's
// own list of modules stays as it is.
//
// It reads questions from standard input and answers each on standard output,
// one JSON value a line, one after the other (wire.go), until the input ends.
// Who is signed in, which clients there are and which keys sign is told with
// every question; codes and tokens are what the engine keeps.
package main
