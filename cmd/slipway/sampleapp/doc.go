// Package sampleapp is the app that `slipway up` runs when there is no other:
// it needs nothing but Slipway's own binary, and shows in a browser what
// reached it.
//
// [Run] is the app. It finds what it needs in its environment (spec apps.md
// §4) and listens on 127.0.0.1:$PORT. In BASE_URL mode it serves below
// $H2O_WAVE_BASE_URL and answers 404 elsewhere, so that an edge which strips
// the prefix is noticed. Paths are compared raw: no mux cleans or redirects
// them. Below the prefix:
//
//	ws        a WebSocket that sends back each message, of up to 64 KiB
//	events    server-sent events: the time, once a second
//	whoami    what the page shows, as JSON
//	icon.png  the icon
//	healthz   "ok"; also at /healthz, where a launcher asks
//	else      the page, for every method
//
// The page opens neither the WebSocket nor the clock by itself: an open stream
// would keep the instance awake for as long as somebody has the page in a tab.
//
// [Bundle] is the archive that is imported for it. Its entry point, "slipway
// sample-app", stands for the running binary.
package sampleapp
