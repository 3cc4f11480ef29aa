// Package markdown turns the long descriptions of apps into HTML (spec apps.md
// §2, LongDescription). Whoever wrote one is not trusted: raw HTML is left out,
// what is left goes through a list of allowed elements, links lead to http,
// https and mail addresses only and say so to search engines and to the page
// that they open, and pictures give way to their text, since a picture from
// elsewhere tells who looks at an app.
//
// The result is a fragment: the content of a body, UTF-8. It is rendered once,
// at import, and its time is bounded by what it takes: MaxSource bytes, on lines
// that nest and open at most so much (see tooOdd).
package markdown
