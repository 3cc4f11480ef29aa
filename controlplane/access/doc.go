// Package access is the one place that says who may do what (spec access.md
// §2–§5): a function over (actor, action, resource), used by the API, the
// console and the edges, with the specification's tables as its data.
//
// An actor belongs to classes: anonymous; a visitor, with a visitor role of one
// of the app's tags or without; one with full access; the owner; the app's
// owner; an admin. The tables say which classes may do what. Whoever is not
// allowed by any of theirs is told as much as they may know: to sign in, if
// nobody is signed in; 403, if they see the metadata of the thing; else 404, as
// if there were none.
//
// The function reads nothing and allocates nothing: edges ask it for each
// request.
package access
