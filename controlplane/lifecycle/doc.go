// Package lifecycle is the state machine of instances (spec instances.md §2–§4):
// it makes what runs agree with what the records say, wakes what is visited and
// puts to sleep what nobody uses.
//
// A [Manager] knows of each instance its record (from the store), the latest
// fact about its workload (from its launcher), whether somebody wants to wake
// it, and what edges tell of its use. Whenever one of them changes, [next]
// compares them and names the one step to take. A step is a transaction that
// holds only if the record still leads to it, or a call of the launcher that
// carries the generation; both may be repeated and neither can undo a newer
// one's work. So nothing has to be remembered between steps, and a manager that
// is killed at any moment is followed by one that goes on from the records and
// the facts.
//
//	record                fact of its generation      step
//	PENDING, RESUMING     none, or an older one       queue, then start it
//	                      ready                       DEPLOYED, with the endpoint
//	                      ended                       FAILED, with the reason
//	DEPLOYED, UNKNOWN     ended by itself             RESUMING after a back-off; FAILED after five in ten minutes
//	                      none, or stopped            RESUMING: it should run and does not
//	                      ready                       DEPLOYED, with the endpoint, unless it is that
//	                      ready, nobody uses it       SUSPENDING
//	SUSPENDING            ready, edges are waited for DEPLOYED again, if it was idle and is used after all
//	                      ready, edges are done       `stopping`: from then on this generation never runs again
//	                      none, or not ready          likewise
//	  `stopping`          any                         stop it, then SUSPENDED
//	SUSPENDED, FAILED     runs                        stop it
//	                      a visitor                   RESUMING, within the limits; of FAILED only once its back-off is over
//	TERMINATING           any                         remove it, then delete the record
//	no record             runs                        stop it
//	a record that cannot be read                      nothing
//
// # Sleep
//
// Edges tell of use every ten seconds. It is known here at once, and written
// into the record once a minute, so that a manager which takes over counts a
// minute for what its predecessor may have known. What edges have not told yet
// comes with their acknowledgement of SUSPENDING: an instance that is idle by
// its record and used in truth runs on, and no request was refused.
//
// # Starts
//
// Starts beyond those at once wait in the order in which they came, whatever
// began them. One that is under way when a manager takes over has its place
// among them already.
//
// # What others learn of it
//
// An [Observer] is told of each start that is over, with the times of its stages,
// and of sleep; a [Census] counts what is there. Transitions are told as the record
// shows them, whoever made them, and each once.
//
// One manager works on a store at a time.
package lifecycle
