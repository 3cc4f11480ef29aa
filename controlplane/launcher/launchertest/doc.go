// Package launchertest is the conformance suite that every launcher passes
// (spec instances.md §5).
//
// [Run] takes a function that opens a launcher with nothing in it, and calls
// it for each of its tests. What a launcher cannot do by its nature is said in
// the [Fixture]; tests that need it are then left out by name.
//
// Launchers that run code run the test binary itself: its TestMain calls
// [Workload] first, which serves as one of the [Behaviour]s when the binary was
// started as a workload and returns otherwise. Each workload counts itself, so
// that the suite learns of two at a time from those who must know.
package launchertest
