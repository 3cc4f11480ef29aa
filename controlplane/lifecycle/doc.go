// Package lifecycle is the state machine of instances (spec instances.md §2):
// it makes what runs agree with what the records say.
//
// A [Manager] knows three things of each instance: its record (from the store),
// the latest fact about its workload (from its launcher), and whether somebody
// wants to wake it. Whenever one of them changes, [next] compares them and
// names the one step to take. A step is a transaction that compares the state
// it was decided upon, or a call of the launcher that carries the generation;
// both may be repeated and neither can undo a newer one's work. So nothing has
// to be remembered between steps, and a manager that is killed at any moment
// is followed by one that goes on from the records and the facts.
//
//	record                fact of its generation      step
//	PENDING, RESUMING     none, or an older one       start it
//	                      ready                       DEPLOYED, with the endpoint
//	                      ended                       FAILED, with the reason
//	DEPLOYED, UNKNOWN     ended by itself             RESUMING after a back-off; FAILED after five in ten minutes
//	                      none, or stopped            RESUMING: it should run and does not
//	                      ready                       DEPLOYED, with the endpoint, unless it is that
//	SUSPENDING            any                         stop it, then SUSPENDED
//	SUSPENDED, FAILED     runs                        stop it
//	                      a visitor                   RESUMING; of FAILED only once its back-off is over
//	TERMINATING           any                         remove it, then delete the record
//	no record             runs                        stop it
//	a record that cannot be read                      nothing
//
// One manager works on a store at a time.
package lifecycle
