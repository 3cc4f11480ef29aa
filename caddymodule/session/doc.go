// Package session says who visits an instance, and whether they may (spec
// access.md §3 and §6).
//
// A visitor's credential is a pass (package identity): signed by a control
// plane, good for one instance and 15 minutes. It comes in a cookie of the
// instance's host, or as a bearer. A [Checker] verifies it by the keys of the
// route table, once, and remembers it for as long as it lives; whether it was
// revoked is looked up in the table for each request. So a request costs no
// signature, no call and no lock that is held for long, and a right that ends
// in the store ends here with the table's next revision.
//
// Two cookies of one name, an unknown key, a pass for another instance or one
// that has ended are all alike: nobody is signed in, and nobody is told why.
//
// [Stays] are the requests that are under way. When the table has changed they
// are asked again whether they may go on, and ended if not. Who was let in with
// everybody else is read then, not before. Without news of the store a stay is as
// good as a pass that nobody renews.
package session
