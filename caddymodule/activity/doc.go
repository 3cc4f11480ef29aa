// Package activity knows which instances are in use at this edge, and how
// (spec instances.md §4).
//
// Each instance that was ever visited has a meter: when the last activity was
// and of what kind, and what is under way. A request counts itself with
// [Meters.Begin] and [Use.End]; that takes no lock and allocates nothing, but
// for the first visit of an instance. Times are those of the monotonic clock, in
// milliseconds, most of them read for something else already.
//
// Activity is an answer of the app below 400, and bytes that pass on a body or a
// WebSocket. What is open and silent is presence: WebSockets and event streams
// at once, other requests once they have waited for a whole interval of reports.
//
// # Reports
//
// [Meters.Report] collects what is new since the last report that was written,
// with the age of each time. What could not be written is collected again.
//
// # Sleep
//
// [Meters.Changed] is told of every change of the route table, after it is
// visible. Of the instances that are SUSPENDING then, [Meters.Draining] tells
// what is open, together with the revision that was told of. It misses no
// request: a request counts itself first and looks at the table again after
// that, so either it sees the mark, or the count is there before the mark is.
//
// When an instance stops, what is open to it is ended: WebSockets and event
// streams. Other requests go on to their end, or to that of the app.
package activity
