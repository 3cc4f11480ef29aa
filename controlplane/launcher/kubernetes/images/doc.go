// Package images asks registries what a container app's image is at the moment
// of a start: the digest of its tag, so that all of the start runs the same
// bytes, and what its configuration says of user, working directory, ports and
// volumes, which a pod needs to know before it runs.
//
// It is told by the registry itself, with the credentials of the pull secrets.
// What it said is kept: of a digest for good, of a tag for Config.Fresh. A
// registry that cannot be reached, or that refuses, stops no start: then the
// last digest of the tag holds, or the tag alone, with a warning, and the node
// pulls what it can. So a wake waits for a registry once in Config.Fresh at
// most, and for Config.Timeout at most.
//
// Of an image for several platforms the digest is that of all of them, and the
// configuration that of Config.Platform: the others differ in their programs
// alone.
package images
