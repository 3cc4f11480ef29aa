// Package hold lets requests wait for an instance that does not run yet.
//
// A request that finds an instance asleep registers the intent to wake it and
// waits for the instance's route to change. However many requests wait for one
// instance, the intent is registered once; they are released together, by the
// watch that brings the new route, never by polling. The visitor who caused a
// start may leave: the start goes on.
//
// An intent says who visits, since starts are counted by that. One that was
// taken back, since its visitor starts nothing for now, is registered again for
// the next visitor who waits; one that went away is registered again as long as
// somebody waits.
//
// A room has places for so many waiters of one instance, from one source address,
// and of all. What can
// be refused is refused at once and costs no place: an instance whose back-off
// lasts, a visitor who may not wake it or starts nothing for now.
package hold
