// Package clustertest is what the tests below test/cluster share: the way to the
// cluster, namespaces of their own, and images that its node has.
package clustertest
