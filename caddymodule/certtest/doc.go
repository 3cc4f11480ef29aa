// Package certtest makes certificates for tests: some sign themselves, some are
// signed by an authority. They are valid for a year, for servers and clients.
package certtest
