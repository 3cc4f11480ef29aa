//go:build linux

// Slipway-pod is the program in the pods of bundles: it fetches and unpacks a
// bundle, installs its packages, and stays as process 1 while the app runs. Its
// steps and what they are given are in package inpod; people do not call it.
//
// It is a program of its own, not a command of slipway: it is copied into a
// folder of each pod, so that the runtime's image, which may be anybody's, can
// run it, and it stays in memory beside each app. Caddy, etcd and the client of
// Kubernetes would be a hundred megabytes there, and have no business in an app's
// pod. It is static, since an image may have no C library or another one.
package main
