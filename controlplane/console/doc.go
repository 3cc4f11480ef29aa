// Package console serves the console's host: sign-in and sign-out, what people
// see of their installation, their tokens, the approval of command lines, the
// page of an instance with its log for whoever reads that, and
// the way to an instance that needs somebody who is signed in (spec access.md
// §1, §6). The API is served here too, for the session's cookie.
//
// GET changes nothing. What changes something is a form of this host's own
// pages: a sibling host is an app's, and as foreign as any other. Each page has
// a strict Content-Security-Policy; scripts and styles count by their hash.
//
// The state of a sign-in is in the browser, sealed, in cookies of its own for
// each tab, for 10 minutes and one use. So a link to any depth survives a
// sign-in, with its fragment, and the store keeps nothing for those who never
// come back.
package console
