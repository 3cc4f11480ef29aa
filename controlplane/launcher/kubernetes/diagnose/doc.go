// Package diagnose says what the status and the events of Kubernetes objects
// mean for the start of an app.
package diagnose
