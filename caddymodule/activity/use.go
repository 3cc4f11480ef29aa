package activity

import "time"

// Use is one request at an instance, from [Meters.Begin] to End. The zero value
// counts nothing.
type Use struct {
	meter      *meter
	generation int64
	lane       uint8
}

// End says that the request is over.
func (u Use) End() {
	if u.meter != nil {
		u.meter.end(u.lane)
	}
}

// Again counts what outlives the request and is part of the same visit.
func (u Use) Again() Use {
	if u.meter != nil {
		u.meter.open.Add(1 << (u.lane * laneBits))
	}
	return u
}

// For is the same request on its way to another generation.
func (u Use) For(generation int64) Use {
	u.generation = generation
	return u
}

// counts reports whether the use keeps the instance awake.
func (u Use) counts() bool { return u.meter != nil && u.lane != quietLane }

// firstError is the first status that is no activity.
const firstError = 400

// Answered tells of the head of the app's final answer.
func (u Use) Answered(status int, at time.Time) {
	if u.counts() && status < firstError {
		u.meter.mark(at, causeRequest)
	}
}

// longAfter is from when on a body is a stream: before, its bytes are the
// request's.
const longAfter = time.Second

// Received tells of bytes of the app's answer, which began at that time.
func (u Use) Received(status int, began time.Time) {
	if !u.counts() || status >= firstError {
		return
	}
	now, why := time.Now(), causeRequest
	if now.Sub(began) >= longAfter {
		why = causeStream
	}
	u.meter.mark(now, why)
}

// Sent tells of bytes that the app took of a body that began at that time. What
// takes less than a second waits for its answer to be activity.
func (u Use) Sent(began time.Time) {
	if !u.counts() {
		return
	}
	if now := time.Now(); now.Sub(began) >= longAfter {
		u.meter.mark(now, causeStream)
	}
}

// Data tells of a WebSocket's data, in either direction.
func (u Use) Data() {
	if u.counts() {
		u.meter.mark(time.Now(), causeWebSocket)
	}
}

// Leaving reports whether the instance is about to sleep, or has stopped.
func (u Use) Leaving() bool {
	return u.meter != nil && (u.meter.draining.Load() != 0 || u.meter.hasStopped(u.generation))
}

// Open tells of a WebSocket or an event stream: it is presence until closed is
// called. End is called when the instance stops, perhaps at once, and never
// after closed has returned; it must not wait.
func (u Use) Open(end func()) (closed func()) {
	if u.meter == nil {
		return func() {}
	}
	return u.meter.add(&stream{generation: u.generation, silent: !u.counts(), end: end})
}
