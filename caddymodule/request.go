package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/seed-dbc68772/slipway/routing"
)

// Limits of spec routing.md §7 that the server does not hold by itself.
const (
	maxTarget = 32 << 10 // bytes
	maxFields = 200
)

// oversized refuses a request with too long a target or too many fields, in the
// words of framing.Refusal, which has seen none of HTTP/2's and HTTP/3's.
func oversized(r *http.Request) (status int, code string, bad bool) {
	if len(r.RequestURI) > maxTarget {
		return http.StatusRequestURITooLong, "request_line_too_long", true
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > maxFields {
		return http.StatusRequestHeaderFieldsTooLarge, "too_many_fields", true
	}
	return 0, "", false
}

// http10Writer answers an HTTP/1.0 client: the connection is closed, which the
// server would not say, and no 1xx is sent, which such a client cannot read.
type http10Writer struct {
	*caddyhttp.ResponseWriterWrapper
}

func newHTTP10Writer(w http.ResponseWriter) http10Writer {
	w.Header().Set("Connection", "close")
	return http10Writer{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

func (w http10Writer) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseWriterWrapper.WriteHeader(status)
	}
}

// requestOf is what the decision about a request depends on.
func requestOf(r *http.Request) routing.Request {
	return routing.Request{
		Method: r.Method, Host: r.Host, Target: r.RequestURI, Protocol: protocolOf(r),
		Upgrade: isWebSocket(r), Bearer: hasBearer(r),
	}
}

// isWebSocket reports whether an HTTP/1.1 request asks for a WebSocket. Over
// HTTP/2 and /3 that is an extended CONNECT.
func isWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor > 0 && r.ContentLength == 0 &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// protocolOf is the :protocol of an extended CONNECT, "" of another request.
// The two servers put it into different places.
func protocolOf(r *http.Request) string {
	switch {
	case r.Method != http.MethodConnect:
		return ""
	case r.ProtoMajor == 3 && r.Proto != "HTTP/3.0":
		return r.Proto
	}
	return r.Header.Get(":protocol")
}

func hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && token != ""
}
