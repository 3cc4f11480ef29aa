// Package bundletest makes the archives that tests run apps from.
package bundletest
