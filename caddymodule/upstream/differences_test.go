package upstream_test

import (
	"maps"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream/upstreamtest"
)

// Why other proxies do otherwise.
const (
	notItsRule    = "what Slipway's instances may say to each other's visitors is no rule of a general proxy"
	lenientParser = "http.ReadResponse takes it"
	lenientLength = "it uses the connection again after an answer with both a length and chunks"
	continues     = "it passes the app's 100 on as well, unasked or a second time"
	halfDuplex    = "the server reads the request's body before it sends the answer's head, unless told otherwise"
	noConnect     = "it knows no extended CONNECT"
	oneProtocol   = "its transport speaks HTTP/1.1 here; which protocol is a setting, not the request's"
)

// Of the standard library's proxy and of Caddy's, which began as a copy of it.
var sharedDifferences = upstreamtest.Differences{
	"length and chunks: chunks count":                  lenientLength,
	"eleven informational answers":                     "it limits the size of informational answers, not their number",
	"chunks of HTTP/1.0":                               lenientParser,
	"folded header":                                    lenientParser,
	"space in a header's name":                         lenientParser,
	"status below 100":                                 "it panics, so that the visitor gets no answer at all",
	"status with a sign":                               "it panics, so that the visitor gets no answer at all",
	"unknown version":                                  lenientParser,
	"malformed trailer":                                "it takes the answer for whole when its trailer is malformed",
	"headers of the origin go":                         notItsRule,
	"identity goes in any spelling":                    notItsRule,
	"our cookies go":                                   notItsRule,
	"our cookies go in any case":                       notItsRule,
	"our tokens go":                                    notItsRule,
	"our tokens go in any spelling":                    notItsRule,
	"a quoted token goes":                              notItsRule,
	"our tokens go from among cookies":                 notItsRule,
	"our tokens go from among protocols":               notItsRule,
	"our token as the only protocol":                   notItsRule,
	"h2c is no upgrade":                                "it passes every upgrade on",
	"cookie for the domain above":                      notItsRule,
	"cookie of our name":                               notItsRule,
	"cookie of our name with the host prefix":          notItsRule,
	"cookie without a name":                            notItsRule,
	"cookie held inside":                               notItsRule,
	"cookie with a path inside":                        notItsRule,
	"cookie for another instance":                      notItsRule,
	"service worker beyond":                            notItsRule,
	"service worker with hidden dots":                  notItsRule,
	"clearing cookies":                                 notItsRule,
	"clearing all":                                     notItsRule,
	"clearing others' storage":                         notItsRule,
	"NEL":                                              notItsRule,
	"Report-To":                                        notItsRule,
	"Strict-Transport-Security":                        notItsRule,
	"upload refused with 417":                          continues,
	"early answer while the upload goes on":            upstreamtest.Sometimes + halfDuplex,
	"early answer of an app that keeps the connection": upstreamtest.Sometimes + halfDuplex,
	"half a chunked upload and a bad answer":           halfDuplex,
	"both ways at once":                                halfDuplex,
	"body of 100 KiB, continue":                        continues,
	"no body, continue":                                continues,
	"small body, continue":                             continues,
	"body of 16 KiB, continue":                         continues,
	"GET is repeated once":                             "it repeats a request only on a connection that was used before",
	"gRPC: a call":                                     oneProtocol,
	"gRPC: an error without a message":                 oneProtocol,
	"gRPC: a stream":                                   oneProtocol,
	"gRPC: a deadline":                                 oneProtocol,
	"gRPC: trailers":                                   oneProtocol,
}

var standardDifferences = with(sharedDifferences, upstreamtest.Differences{
	"target with escapes":                        "it drops parts of a query that net/url cannot parse",
	"target with semicolons":                     "it drops parts of a query that net/url cannot parse",
	"Alt-Svc":                                    notItsRule,
	"trailers of a request":                      "it drops the request's trailers",
	"WebSocket: frames right behind the request": "it does not look into what the server has read ahead",
	"WebSocket over HTTP/2: echo":                noConnect,
	"WebSocket over HTTP/2: the app refuses":     noConnect,
})

var caddyDifferences = with(sharedDifferences, upstreamtest.Differences{
	"switching protocols unasked":                "an empty Upgrade on both sides passes for a match",
	"nothing is added":                           "it adds Via and Accept-Encoding",
	"trailers of a request":                      "it sends the app an announced trailer that it then leaves out",
	"WebSocket over HTTP/2: the app answers 200": "it passes a 200 on, which says that the WebSocket is open",
	"WebSocket over HTTP/2: a wrong key":         "it does not check the key that it has made itself",
})

// with are the differences of two tables.
func with(shared, own upstreamtest.Differences) upstreamtest.Differences {
	all := maps.Clone(shared)
	maps.Copy(all, own)
	return all
}
