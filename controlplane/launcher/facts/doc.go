// Package facts carries what a launcher knows of its workloads to those who
// observe it, as launcher.Launcher's Observe promises.
//
// A [Hub] keeps the latest fact of each instance. Each observer first gets the
// present ones, then one fact with Synced set, then every change. Facts of one
// instance that an observer has not taken yet are replaced by a newer one, so
// that a slow reader holds nobody up, takes bounded memory and never misses
// the latest.
package facts
