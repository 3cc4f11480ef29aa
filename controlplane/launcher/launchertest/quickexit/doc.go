// Package quickexit is imported by tests whose processes are the test's own
// program. Under the race detector each would sleep for a second before it ends.
package quickexit
