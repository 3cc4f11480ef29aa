// Package slipwaytest is what the tests below test/ share to run the real
// binary: one build of it for all their packages, processes that cannot outlive
// their test, Caddyfiles, apps and their bundles, and the client of a running
// slipway.
package slipwaytest
