// Package probe asks whether a workload answers: its port accepts ([Connect])
// and, where the app declares a health path, GET of that path gets a status of
// 2xx or 3xx ([Health]; spec instances.md §5). Redirects are not followed, no
// proxy is used, and bodies are read up to a bound and thrown away.
//
// [Backoff] paces the questions on a short cap of its own: a probe that waits
// its own timeout between two tries costs every wake that time (KEDA
// http-add-on#1385: 3 s to 21 s in place of 1.5 s).
package probe
