// Package image makes container images from files, without an engine, a base
// image or a registry.
//
// An image is a list of layers, a layer a list of [File]s. Everything that is
// not in the [Spec] is fixed: times are the Unix epoch, owners are root, folders
// above a file have mode 0755, entries are in the order of their paths. So the
// same Spec with the same contents gives the same digest, on whatever machine,
// by the same version of Go (whose gzip makes the layers' compressed form); the
// image's ID, which is of the uncompressed contents, is the same by every one.
//
// [Slipway] is the Spec of Slipway's own image. Tests make theirs of the
// programs that they need.
package image
