package caddymodule

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
)

// kind is what a request is to an instance that does not run: it says what the
// visitor gets (spec instances.md §3).
type kind uint8

const (
	kindRequest   kind = iota // held, then served
	kindPage                  // held for a moment, then the waiting page
	kindWebSocket             // held, then connected
	kindStream                // server-sent events, likewise
	kindGRPC                  // likewise; it is refused in its own words
	kindAsync                 // told where to ask, at once
	kindPreflight             // of another origin's request
	kindProbe                 // wakes nobody
)

// kindNames are those of controlplane.WakeIntent.
var kindNames = [...]string{"request", "page", "websocket", "stream", "grpc", "request", "request", ""}

// wakeKinds are the names that intents have.
var wakeKinds = []string{"page", "request", "websocket", "stream", "grpc"}

func (k kind) String() string { return kindNames[k] }

// arrival is what a kind depends on.
type arrival struct {
	*http.Request
	rest      string // the path below the instance's name
	webSocket bool
	probes    *probes
}

// kind tells what a request is. What wakes nobody comes first: a probe that
// looks like a page, or like a preflight, is one all the same.
func (a arrival) kind() kind {
	switch {
	case a.isProbe():
		return kindProbe
	case a.isPreflight():
		return kindPreflight
	case a.webSocket:
		return kindWebSocket
	case (&upstream.Request{Request: a.Request}).IsGRPC():
		return kindGRPC
	case a.wantsAsync():
		return kindAsync
	case a.Method == http.MethodGet && httpguts.HeaderValuesContainsToken(a.Header["Accept"], "text/event-stream"):
		return kindStream
	case a.Method == http.MethodGet && prefersHTML(a.Request):
		return kindPage
	}
	return kindRequest
}

// isPreflight reports whether a browser asks if another origin may send a
// request (the CORS protocol of the Fetch standard).
func (a arrival) isPreflight() bool {
	return a.Method == http.MethodOptions && a.Header.Get("Origin") != "" && a.Header.Get("Access-Control-Request-Method") != ""
}

// isProbe reports whether nobody waits for the answer who would be helped by a
// start.
func (a arrival) isProbe() bool {
	if a.Method == http.MethodHead || a.rest == "/favicon.ico" || a.rest == "/robots.txt" {
		return true
	}
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Moz"} { // the last two of older browsers
		for _, value := range a.Header[name] {
			if strings.Contains(strings.ToLower(value), "prefetch") {
				return true
			}
		}
	}
	return a.probes.sent(a.Request)
}

func (a arrival) wantsAsync() bool {
	for _, line := range a.Header["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(preference), "respond-async") {
				return true
			}
		}
	}
	return false
}
