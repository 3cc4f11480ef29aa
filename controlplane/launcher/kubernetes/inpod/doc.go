// Package inpod is what the launcher and slipway-pod, its program in the pods of
// bundles, tell each other: the files that each step is given, and what it says
// of itself. It knows nothing of Kubernetes, since it is a part of a small
// program.
//
// A pod has up to three steps:
//
//	bundle         in Slipway's image: puts the program where the others find it,
//	               fetches the archive by its signed link and unpacks it
//	dependencies   in the runtime's image: makes the virtual environment; it has no
//	               secret, since packages bring code that runs then
//	run            in the runtime's image: writes the [[File]]s that hold secrets and
//	               stays as process 1 while the app runs
//
// A step that cannot go on leaves a reason in the container's termination message,
// see [Message], and ends with [Failed].
package inpod
